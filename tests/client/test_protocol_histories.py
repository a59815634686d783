"""Any history of calls by two devices over a network that loses messages ends as a plain dictionary says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.client.hand_driver import Driver
from tests.client.paper_server import PaperServer

DIMENSION = 16
NAMES = [f"row-{at}" for at in range(12)]
faults = st.lists(st.sampled_from([None, None, -1, 0, 1, 2]), max_size=6)
devices = st.sampled_from([0, 1])
some_names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True)


def vector(name: str, version: int) -> np.ndarray:
    return np.random.default_rng([NAMES.index(name), version]).normal(size=DIMENSION).astype(np.float32)


class Histories(RuleBasedStateMachine):
    @initialize()
    def two_devices_share_a_collection(self):
        self.folder = tempfile.TemporaryDirectory()
        self.server = PaperServer()
        self.devices = [Driver(self.server, Path(self.folder.name) / str(at), timeout_s=60) for at in range(2)]
        first, second = self.devices
        first(first.protocol.create_collection("c", None, DIMENSION, None, True))
        second.session.keys.put(first.session.keys.all()[0])
        self.live: dict[str, int] = {}
        self.version = 0

    def teardown(self):
        for device in self.devices:
            device.session.close()
        self.folder.cleanup()

    def breaking(self, device, plan):
        """The next exchanges of this device break as planned."""
        coming = iter(plan)
        self.devices[device].faults = lambda exchange: next(coming, None)
        return self.devices[device], self.devices[device].protocol

    @rule(device=devices, names=some_names, plan=faults)
    def enrol(self, device, names, plan):
        drive, protocol = self.breaking(device, plan)
        self.version += 1
        report = drive(protocol.enrol_vectors("c", names, [vector(one, self.version) for one in names], None))
        assert set(report.already) == set(names) & set(self.live)
        assert set(report.ids) == set(names) - set(self.live)
        self.live |= dict.fromkeys(report.ids, self.version)

    @rule(device=devices, data=st.data(), plan=faults)
    def erase(self, device, data, plan):
        if not self.live:
            return
        drive, protocol = self.breaking(device, plan)
        names = data.draw(st.lists(st.sampled_from(sorted(self.live)), min_size=1, max_size=3, unique=True))
        assert drive(protocol.erase("c", names)) == len(names)
        for one in names:
            del self.live[one]

    @rule(device=devices, data=st.data(), plan=faults)
    def search(self, device, data, plan):
        drive, protocol = self.breaking(device, plan)
        if not self.live:
            assert drive(protocol.search_vector("c", np.ones(DIMENSION), 3)) == []
            return
        name = data.draw(st.sampled_from(sorted(self.live)))
        hits = drive(protocol.search_vector("c", vector(name, self.live[name]), 20))
        assert {hit.id for hit in hits} == set(self.live)
        assert hits[0].id == name
        assert abs(hits[0].score - 1) < 0.03

    @rule(factor=st.sampled_from([2, 4, 8, 16]))
    def repack(self, factor):
        self.server.collections["c"].factor = factor

    @rule(device=devices, plan=faults)
    def look(self, device, plan):
        drive, protocol = self.breaking(device, plan)
        assert {one.id for one in drive(protocol.list("c", None, 0))} == set(self.live)
        assert drive(protocol.count("c")) == len(self.live)

    @invariant()
    def the_server_holds_each_row_once(self):
        if hasattr(self, "server") and "c" in self.server.collections:
            assert len(self.server.collections["c"].rows) == len(self.live)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
