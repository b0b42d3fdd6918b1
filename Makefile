# Every target sets up what it needs, on a machine that has Python 3.11+ and pip.
PYTHON ?= python3
UV_VERSION := 0.13.8
UV := .tools/uv/bin/uv
DATA ?= ../shared/data
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
export NO_MKDOCS_2_WARNING := 1
# Compiled modules are kept: hundreds of tests start a process of their own.
unexport PYTHONDONTWRITEBYTECODE
RUN := .venv/bin/python -m

.PHONY: help demo kernels test coverage check bench bench-core bench-cache bench-consensus bench-risk bench-grounding bench-route bench-fhe bench-overhead soak fuzz-index docs dist dist-check clean setup-demo setup-test setup-check
.DEFAULT_GOAL := help

help:
	@echo "make demo    set up, then run LEO's main job offline"
	@echo "make test    set up, then run all tests"
	@echo "make coverage  all tests with branch coverage of packages/, at least 95 %; twice as long"
	@echo "make check   lint, types, import contracts, docs build"
	@echo "make bench   the replay benchmark on recorded answers (DATA=$(DATA)); refreshes tables and figures in the docs"
	@echo "make bench-core  the numeric core beside the libraries it replaces; refreshes its figures in the docs"
	@echo "make bench-cache  the semantic cache on streams of requests beside thresholds and vCache; takes half an hour"
	@echo "make bench-consensus  committees with adversaries; refreshes their figures in the docs; takes an hour and a half"
	@echo "make bench-risk  risks of committees' verdicts; refreshes their figures in the docs"
	@echo "make bench-grounding  support of answers by their contexts; refreshes its figures in the docs"
	@echo "make bench-route  routers before the call and cascades; refreshes their figures in the docs; takes half an hour"
	@echo "make bench-fhe  search under encryption beside a plain scan, naive products and a sealed index; takes a quarter of an hour"
	@echo "make bench-overhead  what LEO adds to a call beside LangChain's own ways; refreshes its figures in the docs"
	@echo "make soak    two processes write 50,000 entries under random kill -9, tenants use one cache 100,000 times,"
	@echo "             1,000 requests with an encrypted index in another process; prints what was found"
	@echo "make fuzz-index  a million altered envelopes at an index server, and 100,000 altered replies at its client"
	@echo "make docs    build the documentation into site/"
	@echo "make dist    wheels and sdists into dist/, built twice and compared; licences and metadata checked"
	@echo "make dist-check  install them in fresh environments: every Python at hand, the lowest versions, typed; ten minutes"

$(UV):
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools/uv "uv==$(UV_VERSION)"

setup-demo: $(UV)
	$(UV) sync --quiet --frozen --python $(PYTHON) --all-packages --no-default-groups --group demo --inexact

setup-test: $(UV)
	$(UV) sync --quiet --frozen --python $(PYTHON) --all-packages --no-default-groups --group test --inexact

setup-check: $(UV)
	$(UV) sync --quiet --frozen --python $(PYTHON) --all-packages --no-default-groups --group test --group lint --group docs --inexact

demo: setup-demo
	.venv/bin/python examples/demo/run.py

# Compiled before the tests, which wait for one another by the clock.
kernels: setup-test
	.venv/bin/python -c "from leo_core.kernels.warm import compile_all; compile_all()"

test: setup-test kernels
	$(RUN) pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: setup-test kernels
	rm -f .coverage .coverage.*
	$(RUN) coverage run -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)
	$(RUN) coverage combine --quiet
	$(RUN) coverage report

check: setup-check
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy packages/leo-core/src/leo_core packages/leo-langchain/src/leo_langchain packages/leo-llamaindex/src/leo_llamaindex
	.venv/bin/lint-imports
	.venv/bin/mkdocs build --strict --quiet

docs: setup-check
	.venv/bin/mkdocs build --strict

setup-dist: $(UV)
	$(UV) sync --quiet --frozen --python $(PYTHON) --all-packages --no-default-groups --group dist --inexact

dist: setup-dist
	.venv/bin/python tools/dist.py

dist-check: dist
	.venv/bin/python tools/dist_check.py

bench: setup-test
	.venv/bin/python tools/refresh_figures.py $(DATA)/replay

bench-consensus: setup-demo
	.venv/bin/python tools/refresh_consensus_figures.py $(DATA)/replay

bench-risk: setup-demo
	.venv/bin/python tools/refresh_risk_figures.py $(DATA)/replay

bench-grounding: setup-demo
	.venv/bin/python tools/refresh_grounding_figures.py $(DATA)

bench-core: $(UV)
	$(UV) sync --quiet --frozen --python $(PYTHON) --all-packages --no-default-groups --group train --group peers --inexact
	.venv/bin/python tools/refresh_core_figures.py $(DATA)

bench-cache: $(UV)
	$(UV) sync --quiet --frozen --python $(PYTHON) --all-packages --no-default-groups --group train --group peers --inexact
	.venv/bin/python tools/refresh_cache_figures.py $(DATA)

bench-route: $(UV)
	$(UV) sync --quiet --frozen --python $(PYTHON) --all-packages --no-default-groups --group train --group peers --inexact
	.venv/bin/python tools/refresh_route_figures.py $(DATA)

bench-fhe: $(UV)
	$(UV) sync --quiet --frozen --python $(PYTHON) --all-packages --no-default-groups --group test --group peers --inexact
	COLUMNS=120 .venv/bin/leo bench fhe --data $(DATA)

bench-overhead: setup-test
	.venv/bin/python tools/refresh_overhead_figures.py $(DATA)

soak: setup-test
	$(RUN) tests.soak.two_writers 50000 0
	$(RUN) tests.soak.tenants 100000 0
	$(RUN) tests.soak.private_chat_model 1000 0

fuzz-index: setup-test
	$(RUN) tests.soak.fuzz_envelopes 1000000 0
	$(RUN) tests.soak.fuzz_envelopes 50000 0 real
	$(RUN) tests.soak.fuzz_replies 50000 0

clean:
	rm -rf .venv .tools site dist build out
