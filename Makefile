# Threadkeep. `make help` lists what there is.

PYTHON ?= python3
BOOTSTRAP = PYTHONPATH=deploy/src $(PYTHON) -m bootstrap
BIN = .venv/bin
SERVICES = gateway chat-service history-service agent-worker
EXPORT = $(BIN)/uv export --quiet --frozen --no-emit-workspace --no-header --no-annotate --format requirements.txt

# What is set on the command line (make up UI=0 WORKERS=3) reaches the programs by itself. Exporting it here by name would
# hand on empty values of what is not set, and hide the ones in .env.

.DEFAULT_GOAL := help
.PHONY: help up down test check openapi fuzz bench bench-relay bench-history bench-gateway bench-streams faults lock keys service-key clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Start everything (UI=0: without the page; WORKERS=n: n agent workers); Ctrl-C stops it
	@exec env $(BOOTSTRAP) up

down: ## Stop what `make up` started
	@exec env $(BOOTSTRAP) down

test: ## Run all checks and tests in PROCESSES (2); installs what they need: a browser, a PgBouncer
	@$(BOOTSTRAP) built
	@$(MAKE) --no-print-directory check
	@cd frontend && npm run --silent test
	@PGBOUNCER_PATH="$$($(BOOTSTRAP) pgbouncer)"; export PGBOUNCER_PATH; \
		CHROMIUM_PATH="$$($(BOOTSTRAP) browser)" && export CHROMIUM_PATH && \
		$(BIN)/pytest -n $(or $(PROCESSES),2) --dist loadfile --cov --cov-branch --cov-report=term:skip-covered --durations=15

check: ## Check style, types, import contracts and deployment files
	@$(BOOTSTRAP) tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m tests.contract.conversation_openapi --check
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint deploy/docker/*.Dockerfile
	cd frontend && npm run --silent lint && npm run --silent typecheck

openapi: ## Write contracts/conversation-openapi.yaml from the services as they are
	@$(BOOTSTRAP) tools
	@$(BIN)/python -m tests.contract.conversation_openapi

fuzz: ## Send CASES (500) generated requests to each operation of the gateway and the history-service
	@$(BOOTSTRAP) built
	@$(BIN)/pytest tests/integration/gateway/test_openapi.py tests/integration/history_service/test_openapi.py --fuzz-cases=$(or $(CASES),500)

bench: bench-relay ## The same as bench-relay

bench-relay: ## Measure what a token and a message cost, beside a single process (STREAMS, ROUNDS)
	@$(BOOTSTRAP) built
	@$(BIN)/python -m tests.bench.relay

bench-history: ## Measure the history-service at 10,000 and at MESSAGES (10,000,000) messages
	@$(BOOTSTRAP) built
	@$(BIN)/python -m tests.bench.history

bench-gateway: ## Measure what the gateway forwards, beside plain httpx and nginx (ROUNDS, SECONDS, CONCURRENCY)
	@$(BOOTSTRAP) locked
	@NGINX_PATH="$$($(BOOTSTRAP) nginx)" && WRK_PATH="$$($(BOOTSTRAP) wrk)" && export NGINX_PATH WRK_PATH && \
		$(BIN)/python -m tests.bench.gateway

bench-streams: ## Hold STREAMS (2,000) idle streams open: their memory, their comments, everybody else's requests
	@$(BOOTSTRAP) locked
	@$(BIN)/python -m tests.bench.streams

faults: ## Kill, freeze, cut under load, and count what was lost (RUNS, SEED; RECOVERY=1: time it)
	@$(BOOTSTRAP) built
	@$(BIN)/python -m tests.faults

lock: ## Resolve all dependencies anew and write the locks
	@$(BOOTSTRAP) locked
	$(BIN)/uv lock --quiet
	$(EXPORT) --no-dev -o requirements.lock > /dev/null
	$(EXPORT) --only-group dev -o deploy/locks/dev.lock > /dev/null
	$(EXPORT) --only-group bootstrap -o deploy/locks/bootstrap.lock > /dev/null
	for service in $(SERVICES); do \
		$(EXPORT) --no-dev --package threadkeep-$$service -o deploy/locks/$$service.lock > /dev/null || exit 1; \
	done

keys: ## Print the secrets that docker-compose.yml needs and .env has not: make keys >> .env
	@$(BOOTSTRAP) locked
	@$(BIN)/python -m launcher.keys

service-key: ## Print a key for another service: make service-key NAME=reporting SCOPES="conversations:read"
	@$(BOOTSTRAP) locked
	@$(BIN)/python -m launcher.service_keys $(NAME) $(SCOPES)

clean: ## Remove what can be made again; keeps .data/
	rm -rf .venv .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage .coverage.* frontend/node_modules frontend/.next
	find . -name __pycache__ -type d -not -path './.data/*' -prune -exec rm -rf {} +
