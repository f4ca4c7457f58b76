# Shortcuts over CMake's presets; `make help` lists them. Every command works from a fresh clone.
.DEFAULT_GOAL := help
.PHONY: help build run test bench format clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

build:  ## Install what is missing and build build/release/vtlsim
	@tools/setup.sh build
	cmake --preset release
	cmake --build --preset release --target vtlsim

run: build  ## Build, and run all scenarios
	build/release/vtlsim run scenarios

test:  ## Build with several compilers and settings, run all tests on each, compare the results
	@tools/suite.sh all

bench:  ## Build and run the benchmarks
	@tools/setup.sh bench
	cmake --preset release -D VTLSIM_BENCH=ON
	cmake --build --preset release --target vtlsim_bench
	@for program in build/release/bench/bench_*; do "$$program" || exit; done

format:  ## Put every source file into the form that the tests ask for
	tools/format.sh

clean:  ## Remove all that was built
	rm -rf build
