// The executor beside Debian's Unicorn. Before anything is measured both must execute the same
// number of instructions and end with the same registers; `--check` does only that. A NAME measures
// only what has it in its name.
#include <cstring>

#include "bench/engines.hpp"
#include "bench/table.hpp"

namespace vtlsim::bench {
namespace {

using sim::Reg;

bool check_only = false;
std::string_view chosen;  // part of a name
bool all_agree = true;

bool any_chosen = false;

bool measured(std::string_view name) {
    const bool is_chosen = name.find(chosen) != std::string_view::npos;
    any_chosen = any_chosen || is_chosen;
    return !check_only && is_chosen;
}

void expect(const char* name, bool agree, const std::string& what) {
    if (agree) return;
    fmt::print("{}: the engines differ in {}\n", name, what);
    all_agree = false;
}

// Of RFLAGS what the guests leave defined: no AF (logic, shifts) and no OF (rotations by 7).
constexpr u64 kComparedFlags = sim::flag::cf | sim::flag::pf | sim::flag::zf | sim::flag::sf;

// The peer answers IN with 0.
uint32_t in_zero(uc_engine*, uint32_t, int, void*) { return 0; }

void check(const char* name, std::string_view text, u64 count) {
    const auto code = assemble(text);
    Ours ours(code);
    Unicorn peer(code);
    u64 counted = 0;
    peer.hook(UC_HOOK_CODE, reinterpret_cast<void*>(&count_instruction), &counted);
    peer.hook(UC_HOOK_INSN, reinterpret_cast<void*>(&in_zero), nullptr, UC_X86_INS_IN);
    ours.reset(start_registers(count));
    const u64 steps = ours.run();
    peer.reset(start_registers(count));
    peer.run();
    Registers mine = ours.registers();
    Registers theirs = peer.registers();
    mine.back() &= kComparedFlags;
    theirs.back() &= kComparedFlags;
    for (std::size_t i = 0; i < kSeen; ++i) {
        const auto& row = sim::info(static_cast<Reg>(i));
        expect(name, mine[i] == theirs[i],
               fmt::format("{}: {:#x}, Unicorn {:#x}", row.name, mine[i], theirs[i]));
    }
    for (unsigned i = 0; i < 6; ++i) {
        expect(name, ours.xmm(i) == peer.xmm(static_cast<int>(i)), fmt::format("xmm{}", i));
    }
    std::vector<u8> memory(kDataSize), peer_memory(kDataSize);
    ours.machine().read(kData, memory);
    Unicorn::check(uc_mem_read(peer.engine(), kData, peer_memory.data(), kDataSize));
    expect(name, memory == peer_memory, "memory");
    // Unicorn calls once an iteration of REP.
    if (text != kString) {
        expect(name, steps == counted, fmt::format("steps: {}, Unicorn {}", steps, counted));
    }
}

// --- W1 to W5 ------------------------------------------------------------------------------------
// `units`: per instruction, or per iteration if not 0.
void loop(const char* name, double bar, std::string_view text, u64 count, const char* unit,
          double units_per_iteration = 0) {
    check(name, text, std::min<u64>(count, 1000));
    if (!measured(name)) return;
    const auto code = assemble(text);
    Ours ours(code);
    Unicorn peer(code);
    const Registers start = start_registers(count);
    ours.reset(start);
    const double steps = static_cast<double>(ours.run());
    const double work =
        units_per_iteration == 0 ? steps / 1e6 : static_cast<double>(count) * units_per_iteration;
    measure({name, unit, bar, work,
             [&] {
                 ours.reset(start);
                 ours.run();
             },
             [&] {
                 peer.reset(start);
                 peer.run();
             }});
}

// --- W6: every port access reaches the host, which reads 18 registers ----------------------------
u64 sum(const Registers& registers) {
    u64 total = 0;
    for (u64 value : registers) total += value;
    return total;
}
uint32_t in_hook(uc_engine* uc, uint32_t, int, void* user) {
    *static_cast<u64*>(user) += sum(Unicorn::registers(uc));
    return 0;
}
void out_hook(uc_engine* uc, uint32_t, int, uint32_t, void* user) {
    *static_cast<u64*>(user) += sum(Unicorn::registers(uc));
}

void ports(u64 count) {
    const char* name = "W6 ports, 18 registers read";
    check(name, kPio, std::min<u64>(count, 1000));
    if (!measured(name)) return;
    const auto code = assemble(kPio);
    Ours ours(code);
    Unicorn peer(code);
    u64 seen = 0;
    u64 peer_seen = 0;
    peer.hook(UC_HOOK_INSN, reinterpret_cast<void*>(&in_hook), &peer_seen, UC_X86_INS_IN);
    peer.hook(UC_HOOK_INSN, reinterpret_cast<void*>(&out_hook), &peer_seen, UC_X86_INS_OUT);
    const Registers start = start_registers(count);
    measure({name, "M ports/s", 3, static_cast<double>(2 * count) / 1e6,
             [&] {
                 ours.reset(start);
                 ours.run_with_ports([&](Ours& o) {
                     seen += sum(o.registers());
                     return u64{0};
                 });
             },
             [&] {
                 peer.reset(start);
                 peer.run();
             }});
}

// --- W7: 40 instructions, all registers set before and read after --------------------------------
void short_runs(u64 runs) {
    check("W7 short run", kShort, 0);
    if (!measured("W7 short run")) return;
    const auto code = assemble(kShort);
    const Registers start = start_registers(0);
    u64 seen = 0;
    const double work = static_cast<double>(runs);
    const auto repeat = [runs](auto once) {
        return [runs, once] {
            for (u64 i = 0; i < runs; ++i) once();
        };
    };
    measure({"W7 short run, fresh", "runs/s", 50, work, repeat([&] {
                 Ours ours(code, nullptr);
                 ours.reset(start);
                 ours.run();
                 seen += sum(ours.registers());
             }),
             repeat([&] {
                 Unicorn peer(code, nullptr);
                 peer.reset(start);
                 peer.run();
                 seen += sum(peer.registers());
             })});

    // Re-used: all registers and the two data pages become what they were saved as. Unicorn is
    // usually told at which address to stop, and translates anew then; it is much faster when HLT
    // ends the run.
    Ours ours(code, nullptr);
    Unicorn peer(code, nullptr);
    ours.reset(start);
    peer.reset(start);
    const sim::Memory saved = ours.machine().snapshot_memory();
    const sim::CpuState state = ours.cpu().state();
    const std::vector<u8> pages(0x2000);
    uc_context* context = nullptr;
    Unicorn::check(uc_context_alloc(peer.engine(), &context));
    uc_context_save(peer.engine(), context);
    const auto our_run = repeat([&] {
        ours.machine().set_memory(saved);
        ours.cpu().set_state(state);
        ours.run();
        seen += sum(ours.registers());
    });
    const auto peer_run = [&](u64 until) {
        return repeat([&, until] {
            uc_mem_write(peer.engine(), kData, pages.data(), pages.size());
            uc_context_restore(peer.engine(), context);
            peer.run(until);
            seen += sum(peer.registers());
        });
    };
    const u64 at_hlt = kCode + code.size() - 1;
    measure({"W7 re-used, stop address", "runs/s", 20, work, our_run, peer_run(at_hlt)});
    measure({"W7 re-used, ended by HLT", "runs/s", 0, work, our_run, peer_run(Unicorn::kNever)});
    uc_context_free(context);
}

// --- W8: a callback at every instruction ---------------------------------------------------------
class Counter : public sim::Observer {
  public:
    bool before_instruction(const sim::Cpu&, u64) override {
        ++count;
        return false;
    }
    u64 count = 0;
};

void hooked(const char* name, std::string_view text, u64 count) {
    if (!measured(name)) return;
    const auto code = assemble(text);
    Ours ours(code);
    Unicorn peer(code);
    u64 peer_counted = 0;
    peer.hook(UC_HOOK_CODE, reinterpret_cast<void*>(&count_instruction), &peer_counted);
    Counter counter;
    const Registers start = start_registers(count);
    ours.reset(start);
    const u64 steps = ours.run();
    measure({name, "M insn/s", 2, static_cast<double>(steps) / 1e6,
             [&] {
                 ours.reset(start);
                 ours.run(&counter);
             },
             [&] {
                 peer.reset(start);
                 peer.run();
             }});
    expect(name, counter.count == peer_counted, "callbacks");
}

// --- W9: save and restore registers and 1 MiB of memory ------------------------------------------
void snapshots(const char* name, u64 rounds, u64 dirty_pages) {
    if (!measured(name)) return;
    constexpr u64 kMiB = 1 << 20;
    Ours ours(assemble(kShort), nullptr);
    Unicorn peer(assemble(kShort), nullptr);
    std::vector<u8> image(kMiB, 0x5A);
    if (!ours.machine().write(kData, image)) throw std::bad_alloc();
    const u64 value = 1;
    uc_context* context = nullptr;
    Unicorn::check(uc_context_alloc(peer.engine(), &context));
    measure({name, "rounds/s", 50, static_cast<double>(rounds),
             [&] {
                 for (u64 i = 0; i < rounds; ++i) {
                     const sim::CpuState registers = ours.cpu().state();
                     const sim::Memory saved = ours.machine().snapshot_memory();
                     for (u64 page = 0; page < dirty_pages; ++page) {
                         (void)ours.machine().write(kData + page * 0x1000,
                                                    {reinterpret_cast<const u8*>(&value), 8});
                     }
                     ours.machine().set_memory(saved);
                     ours.cpu().set_state(registers);
                 }
             },
             [&] {
                 for (u64 i = 0; i < rounds; ++i) {
                     uc_context_save(peer.engine(), context);
                     uc_mem_read(peer.engine(), kData, image.data(), kMiB);
                     for (u64 page = 0; page < dirty_pages; ++page) {
                         uc_mem_write(peer.engine(), kData + page * 0x1000, &value, 8);
                     }
                     uc_mem_write(peer.engine(), kData, image.data(), kMiB);
                     uc_context_restore(peer.engine(), context);
                 }
             }});
    uc_context_free(context);
}

void all() {
    if (!check_only) print_head();
    loop("W1 alu", 0.26, kAlu, 500'000, "M insn/s");
    loop("W2 mem", 7.9, kMem, 200'000, "M insn/s");
    loop("W3 branchy", 0.41, kBranchy, 60'000, "M insn/s");
    loop("W4 sse", 3.3, kSse, 100'000, "M insn/s");
    loop("W5 string", 15.8, kString, 3'000, "K bursts/s", 3e-3);
    ports(200'000);
    short_runs(500);
    hooked("W8 alu, hooked", kAlu, 200'000);
    hooked("W8 mem, hooked", kMem, 100'000);
    snapshots("W9 snapshot, 1 dirty page", 200, 1);
    snapshots("W9 snapshot, 4 dirty pages", 200, 4);
}

}  // namespace
}  // namespace vtlsim::bench

int main(int argc, char** argv) {
    using namespace vtlsim::bench;
    check_only = argc == 2 && std::strcmp(argv[1], "--check") == 0;
    if (argc > 2) {
        fmt::print(stderr, "usage: {} [--check | NAME]\n", argv[0]);
        return 2;
    }
    if (argc == 2 && !check_only) chosen = argv[1];
    all();
    if (!any_chosen) {
        fmt::print(stderr, "{}: no row has \"{}\" in its name\n", argv[0], chosen);
        return 2;
    }
    if (check_only && all_agree) fmt::print("instruction counts and registers agree\n");
    return all_agree ? 0 : 1;
}
