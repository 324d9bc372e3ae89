# motet: thin targets over CMake. `make demo` and `make test` do everything on a fresh Debian 12.
PRESET ?= release
BUILD = build/$(PRESET)
PREFIX ?= /usr/local

.PHONY: deps build demo test asan tsan conformance eval bench install clean

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

conformance: build
	tests/conformance/run.sh $(BUILD)

eval: build
	scripts/eval.sh $(BUILD)/motet

bench: build
	tests/bench/run.sh $(BUILD)

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf build out
