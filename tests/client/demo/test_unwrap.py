"""Bytes that a frame, a message or a chunk cuts in two are put together again, on real gRPC connections too."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.waiting import until
from unseen.v1 import index_pb2, search_pb2
from unseen_client.demo.proxy import LOOPBACK, RecordingProxy
from unseen_client.demo.search_bytes import Needle, Needles
from unseen_client.demo.unwrap import PREFACE, messages, streams, views
from unseen_client.rpcs import ENROL_ROWS, SEARCH


class _Swallow(grpc.GenericRpcHandler):
    """A server that takes any method, reads everything and answers with one empty message."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        def swallow(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            for _ in requests:
                pass
            yield b""

        return grpc.stream_stream_rpc_method_handler(swallow)


@pytest.fixture
def proxy() -> Iterator[RecordingProxy]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[_Swallow()])
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    with RecordingProxy(LOOPBACK, port) as running:
        yield running
    server.stop(0).wait()


def _send(proxy: RecordingProxy, path: str, requests: list[bytes], **metadata: str) -> dict[str, bytes]:
    with grpc.insecure_channel(proxy.address) as channel:
        call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
        assert list(call(iter(requests), metadata=tuple(metadata.items()))) == [b""]
    return {name: data for number, run in enumerate(proxy.received()) for name, data in views(run).items()}


def test_a_value_cut_by_frames_is_seen_in_the_field_view_only() -> None:
    value = secrets.token_bytes(300)
    message = search_pb2.SearchRequest(query=value).SerializeToString()
    body = b"\x00" + len(message).to_bytes(4, "big") + message
    frames = [len(part).to_bytes(3, "big") + bytes(5) + b"\x01" + part for part in (body[:100], body[100:])]
    seen = views(PREFACE + b"".join(frames))
    assert {name for name, data in seen.items() if value in data} == {"stream 1", "stream 1 field 2"}


def test_a_long_value_on_a_real_connection_is_seen_whole(proxy: RecordingProxy) -> None:
    value = secrets.token_bytes(1_000_000)
    seen = _send(proxy, SEARCH.path, [search_pb2.SearchRequest(query=value).SerializeToString()])
    assert seen["stream 1 field 2"] == value


def test_a_value_cut_by_chunks_is_put_together(proxy: RecordingProxy) -> None:
    value = secrets.token_bytes(300)
    parts = [search_pb2.SearchRequest(query=value[at : at + 7]).SerializeToString() for at in range(0, 300, 7)]
    seen = _send(proxy, SEARCH.path, parts)
    assert value in seen["stream 1 field 2"]
    assert value not in seen["stream 1"], "the messages' own framing stands between the chunks"


def test_a_nested_value_is_seen(proxy: RecordingProxy) -> None:
    batch = index_pb2.EnrolBatch(row_ids=b"i" * 16, vectors=b"0123456789abcdef", sealed_records=[b"first", b"second"])
    seen = _send(proxy, ENROL_ROWS.path, [index_pb2.EnrolRowsRequest(batch=batch).SerializeToString()])
    assert seen["stream 1 field 2.2"] == b"0123456789abcdef"
    assert seen["stream 1 field 2.3"] == b"firstsecond"


def test_a_caption_in_a_header_is_found_on_the_socket(proxy: RecordingProxy) -> None:
    caption = Needle("captions", "planted", b"a tiger walks through snow")
    seen = _send(proxy, SEARCH.path, [b""], note=caption.data.decode())
    assert Needles([caption]).found_in(seen["socket"]) == {caption}


def test_what_cannot_be_read_is_refused_not_passed_over() -> None:
    with pytest.raises(ValueError, match="blind"):
        views(b"\x16\x03\x01 a TLS greeting")
    with pytest.raises(ValueError, match="compressed"):
        list(messages(b"\x01\x00\x00\x00\x02ab"))


def test_padding_is_left_out_and_a_cut_frame_counts_as_far_as_it_goes() -> None:
    padded = b"\x00\x00\x06\x00\x08\x00\x00\x00\x01" + b"\x02abc\x00\x00"
    cut = b"\x00\x00\x09\x00\x00\x00\x00\x00\x01" + b"def"
    assert streams(PREFACE + padded + cut) == {1: b"abcdef"}


def test_proxy_counts_what_both_ends_sent(proxy: RecordingProxy) -> None:
    _send(proxy, SEARCH.path, [b"x" * 1000])
    until("what both sent is counted", lambda: proxy.traffic().up > 1000 and proxy.traffic().down > 0)
