# make demo    compile the bundled model for three targets, run it on each, print one table
# make test    lint, types, every test but the slow ones
# make bench   tables against peers and of tiles, then the slow tests: whole models, all of ONNX's backend tests
# make format  rewrite sources in the project's format
#
# Each sets up .venv and, where root or sudo allows, the emulators.

EMULATORS := qemu-aarch64 qemu-arm qemu-system-arm
COMPILERS := gcc arm-none-eabi-gcc arduino-builder
JOBS ?= 2
BIN := .venv/bin

# cmake, ninja and clang-format come with the extra [dev]: tests find them on the path.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test bench format check clean

demo:
	@tools/setup_venv.sh
	@tools/setup_system.sh $(EMULATORS)
	@$(BIN)/python tools/demo.py

test: check
	@tools/setup_system.sh $(EMULATORS) $(COMPILERS)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

check:
	@tools/setup_venv.sh dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files '*.c' '*.h' | xargs -r $(BIN)/clang-format --dry-run -Werror

bench:
	@tools/setup_venv.sh dev
	@tools/setup_venv.sh bench
	@tools/setup_system.sh $(EMULATORS) $(COMPILERS) llvm-mca-19
	$(BIN)/python tools/compare_peers.py
	$(BIN)/python tools/compare_peers_arm.py
	$(BIN)/python tools/enumerate_tiles.py
	$(BIN)/python tools/onnx_backend_tests.py
	$(BIN)/python -m pytest -m slow -rA

format:
	@tools/setup_venv.sh dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files '*.c' '*.h' | xargs -r $(BIN)/clang-format -i

clean:
	rm -rf .venv build dist
