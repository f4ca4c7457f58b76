// A snapshot costs what has changed since, not what exists: save, change some pages, restore, in a
// machine of 1 MiB and in one of 1 GiB, all of it written. `--check` counts instead of timing: how
// many pages the two comparisons visit.
#include <benchmark/benchmark.h>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "sim/exec/cpu.hpp"

namespace vtlsim::bench {
namespace {

// All pages of `mib` have been written; one machine for each size.
sim::Machine& machine_of(u64 mib) {
    static std::map<u64, std::unique_ptr<sim::Machine>> machines;
    auto& machine = machines[mib];
    if (machine == nullptr) {
        const u64 pages = (mib << 20) / sim::kPageSize;
        sim::Memory memory(2 * pages);
        for (u64 page = 0; page < pages; ++page) {
            std::memcpy(memory.page_for_write(page), &page, sizeof(page));
        }
        machine = std::make_unique<sim::Machine>(std::move(memory));
    }
    return *machine;
}

// Spread over the whole memory.
void change(sim::Machine& machine, u64 mib, u64 pages, u64 value) {
    const u64 apart = (mib << 20) / pages;
    for (u64 i = 0; i < pages; ++i) {
        const std::array<u64, 1> bytes{value};
        const auto* first = reinterpret_cast<const u8*>(bytes.data());
        if (!machine.write(i * apart + 8, {first, sizeof(u64)})) std::abort();
    }
}

void save_change_restore(benchmark::State& state) {
    const u64 mib = static_cast<u64>(state.range(0));
    const u64 pages = static_cast<u64>(state.range(1));
    sim::Machine& machine = machine_of(mib);
    u64 value = 0;
    for (auto _ : state) {
        const sim::Memory saved = machine.snapshot_memory();
        change(machine, mib, pages, ++value);
        machine.set_memory(saved);
    }
    state.counters["pages"] = static_cast<double>(pages);
}
BENCHMARK(save_change_restore)
    ->ArgNames({"MiB", "changed"})
    ->ArgsProduct({{1, 1024}, {1, 16, 256}})
    ->Unit(benchmark::kMicrosecond);

u64 visited(u64 mib, u64 pages) {
    sim::Machine& machine = machine_of(mib);
    const sim::Memory saved = machine.snapshot_memory();
    change(machine, mib, pages, ~u64{0});
    u64 count = 0;
    machine.memory().for_each_difference(saved, [&](u64, const u8*, const u8*) { ++count; });
    machine.set_memory(saved);
    return count;
}

}  // namespace
}  // namespace vtlsim::bench

int main(int argc, char** argv) {
    using namespace vtlsim;
    if (argc == 2 && std::string_view(argv[1]) == "--check") {
        for (u64 mib : {1, 1024}) {
            for (u64 pages : {1, 16, 256}) {
                const u64 count = bench::visited(mib, pages);
                if (count == pages) continue;
                fmt::print("{} MiB, {} pages changed: {} differ\n", mib, pages, count);
                return 1;
            }
        }
        return 0;
    }
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
