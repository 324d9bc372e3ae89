# motet: thin targets over CMake. `make demo` and `make test` do everything on a fresh Debian 12.
PRESET ?= release
BUILD = build/$(PRESET)
PREFIX ?= /usr/local

.PHONY: deps build demo test asan tsan tsan-threads valgrind conformance zoo eval bench install clean

deps:
	scripts/deps.sh

build: deps
	cmake --preset $(PRESET)
	cmake --build --preset $(PRESET)

demo: build
	scripts/demo.sh $(BUILD)/motet

test: build
	ctest --preset $(PRESET)

asan tsan:
	$(MAKE) test PRESET=$@

# Only what runs threads: the rest is slow under the thread sanitizer and has nothing to tell it.
tsan-threads:
	$(MAKE) build PRESET=tsan
	ctest --preset tsan -L threads

# The command on odd and bad input, every call of it under valgrind. Takes minutes.
valgrind: build
	MOTET_TEST_SECONDS=4 MOTET_PATIENCE=20 MOTET_RUN="valgrind -q --error-exitcode=99 --leak-check=full" \
		tests/cli/cli.sh $(BUILD)/motet $(BUILD)/tests/make_audio
	MOTET_RUN="valgrind -q --error-exitcode=99 --leak-check=full" tests/cli/score.sh $(BUILD)/motet

conformance: build
	tests/conformance/run.sh $(BUILD)

zoo: build
	tests/zoo/run.sh $(BUILD)

eval: build
	scripts/eval.sh $(BUILD)/motet

bench: build
	tests/bench/run.sh $(BUILD)

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf build out
