#include "tests/fuzz/ways.hpp"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <xxhash.h>

#include "sim/decode/decoder.hpp"
#include "sim/insn/decoded.hpp"

namespace vtlsim::tests {
namespace {

using namespace vtlsim::sim;

CodeMode code_mode(const CpuState& s) {
    const bool big = (s[Reg::cs_attr] >> 14 & 1) != 0;
    if ((s[Reg::efer] & efer::lma) != 0) {
        if (attr::long_code(s[Reg::cs_attr])) return CodeMode::long64;
        return big ? CodeMode::compat32 : CodeMode::compat16;
    }
    if ((s[Reg::rflags] & flag::vm) != 0) return CodeMode::virtual16;
    if ((s[Reg::cr0] & cr0::pe) != 0) return big ? CodeMode::prot32 : CodeMode::prot16;
    return big ? CodeMode::real32 : CodeMode::real16;
}

std::set<u16> reached;

void note_reached(const CpuState& s, std::span<const u8> code) {
    std::array<u8, kMaxInsnLength> bytes{};
    std::copy_n(code.begin(), std::min(code.size(), bytes.size()), bytes.begin());
    const Block block = decode_one(bytes, {code_mode(s)});
    const Op& op = block.ops.front();
    if (op.length <= code.size()) reached.insert(op.mnemonic);
}

// Remembers what it is told as a hash, and pauses now and then.
class Witness : public Observer {
  public:
    explicit Witness(u64 pauses) : random_(pauses), pauses_(pauses != 0) {}

    bool before_instruction(const Cpu&, u64 rip) override {
        if (!again_) note({1, rip});
        again_ = !again_ && pauses_ && random_.one_in(5);
        return again_;
    }
    void stored(const Cpu&, u64 physical, std::span<const u8> before,
                std::span<const u8> after) override {
        note({2, physical, XXH3_64bits(before.data(), before.size()), after.size(),
              XXH3_64bits(after.data(), after.size())});
    }
    void delivering(const Cpu&, const Fault& f) override {
        note({3, static_cast<u64>(f.vector), f.error_code, f.cr2});
    }
    u64 hash() const { return hash_; }

  private:
    void note(std::initializer_list<u64> words) {
        for (const u64 word : words) {
            const std::array<u64, 2> both{hash_, word};
            hash_ = XXH3_64bits(both.data(), sizeof(both));
        }
    }

    Random random_;
    bool pauses_;
    bool again_ = false;
    u64 hash_ = 0;
};

// INS, OUTS, MOVS, CMPS, STOS, LODS, SCAS with a repeat prefix: what they did before a fault stays.
bool is_repeated_string(std::span<const u8> code) {
    bool repeat = false;
    for (const u8 byte : code) {
        if (byte == 0xF2 || byte == 0xF3) repeat = true;
        const bool prefix = byte == 0xF2 || byte == 0xF3 || byte == 0x66 || byte == 0x67 ||
                            byte == 0x26 || byte == 0x2E || byte == 0x36 || byte == 0x3E ||
                            byte == 0x64 || byte == 0x65 || (byte & 0xF0) == 0x40 || byte == 0xF0;
        if (prefix) continue;
        return repeat && ((byte >= 0x6C && byte <= 0x6F) || (byte >= 0xA4 && byte <= 0xA7) ||
                          (byte >= 0xAA && byte <= 0xAF));
    }
    return false;
}

// The processor may set accessed, dirty and busy bits before it finds a fault (SDM
// 3A 4.8, 3.4.5.1).
bool only_access_bits(u8 before, u8 after) {
    return (before & after) == before && ((before ^ after) & ~0x63) == 0;
}

void list_memory(std::string& out, const Memory& before, const Memory& after, bool access_bits) {
    unsigned listed = 0;
    after.for_each_difference(before, [&](u64 page, const u8* old_bytes, const u8* new_bytes) {
        for (u64 i = 0; i < kPageSize && listed < 8; ++i) {
            if (old_bytes[i] == new_bytes[i]) continue;
            if (access_bits && only_access_bits(old_bytes[i], new_bytes[i])) continue;
            ++listed;
            out += fmt::format("[{:x}] {:02x} {:02x}\n", (page << kPageShift) + i, old_bytes[i],
                               new_bytes[i]);
        }
    });
}

void list_registers(std::string& out, const CpuState& before, const CpuState& after) {
    for (const RegInfo& row : registers()) {
        const Vec128 a = before.get(row.reg);
        const Vec128 b = after.get(row.reg);
        if (a == b) continue;
        out += fmt::format("{} {:x}_{:x} {:x}_{:x}\n", row.name, a.hi, a.lo, b.hi, b.lo);
    }
}

// The state itself: registers within their widths, RIP fitting the mode.
void check_state(std::string& broken, const CpuState& s) {
    for (const RegInfo& row : registers()) {
        const Vec128 value = s.get(row.reg);
        Vec128 cut = value;
        if (is_vector(row.reg)) {
            if (row.bits < 128) cut.hi &= (u64{1} << (row.bits - 64)) - 1;
        } else if (row.bits < 64) {
            cut.lo &= (u64{1} << row.bits) - 1;
        }
        if (!(cut == value)) broken += fmt::format("{} is wider than it is\n", row.name);
    }
    const u64 rip = s[Reg::rip];
    const bool code64 = (s[Reg::efer] & efer::lma) != 0 && attr::long_code(s[Reg::cs_attr]);
    constexpr u64 kHole = u64{1} << 47;  // just above the lower half: what ran up to its end
    const bool canonical = Exec::canonical(rip) || (rip >= kHole && rip < kHole + 16);
    if (code64 ? !canonical : rip >> 32 != 0) broken += fmt::format("rip {:x}\n", rip);
    const u64 flags = s[Reg::rflags];
    if ((flags & ~(flag::kDefined | flag::kAlwaysSet)) != 0 || (flags & flag::kAlwaysSet) == 0) {
        broken += fmt::format("rflags {:x}\n", flags);
    }
}

class Runner {
  public:
    Runner(const Way& way, const World& world, const Surroundings& around)
        : way_(way),
          world_(world),
          around_(around),
          sizes_(way.pieces),
          witness_(way.pieces),
          interrupt_at_(around.interrupt_at) {
        start(world.state, world.memory);
    }

    Ending run() {
        while (end_.outcome.empty()) piece();
        end_.state = cpu_->state();
        end_.memory = machine_->snapshot_memory();
        end_.seen = way_.observed ? witness_.hash() : 0;
        look_for_remapping(end_.state, end_.memory);
        return std::move(end_);
    }

  private:
    void start(const CpuState& state, Memory memory) {
        machine_ = std::make_unique<Machine>(std::move(memory));
        cpu_ = &machine_->add_cpu();
        cpu_->set_state(state);
        cpu_->set_deliver_faults(around_.deliver);
        cpu_->set_exits(around_.exits);
        if (around_.small_ram) machine_->set_ram(0, {{0, 0xFFFFF}});
        if (around_.watch) {
            for (u64 page = at::kData; page < at::kStacksEnd; page += kPageSize) {
                machine_->watch_page(page >> kPageShift);
            }
        }
    }

    u64 length() {
        u64 most = around_.steps - end_.steps;
        if (end_.steps < interrupt_at_) most = std::min(most, interrupt_at_ - end_.steps);
        if (way_.pieces == 0) return most;
        return std::min(most, way_.pieces == 1 ? 1 : 1 + sizes_.below(9));
    }

    void piece() {
        if (end_.steps >= around_.steps) {
            end_.outcome = "steps";
            return;
        }
        if (way_.restored) {
            start(cpu_->state(), machine_->snapshot_memory());
        } else if (way_.flushed) {
            cpu_->set_state(cpu_->state());
        }
        cpu_->set_interrupt_line(end_.steps >= interrupt_at_);
        CpuState before;
        Memory memory_before;
        std::vector<u8> code;
        if (way_.checked) {
            before = cpu_->state();
            memory_before = machine_->snapshot_memory();
            code = cpu_->peek_code(cpu_->linear_ip(), 15);
        }
        const u64 wanted = length();
        const u64 steps_before = cpu_->steps();
        const Outcome outcome = cpu_->run({.steps = wanted, .iterations = way_.iterations},
                                          way_.observed ? &witness_ : nullptr);
        const u64 made = cpu_->steps() - steps_before;
        end_.steps += made;
        if (way_.checked) {
            check(before, memory_before, code, outcome, made);
            note_reached(before, code);
        }
        after(outcome);
    }

    void after(const Outcome& outcome) {
        if (std::holds_alternative<StepsDone>(outcome) || std::holds_alternative<Paused>(outcome)) {
            return;
        }
        if (std::holds_alternative<OutOfWork>(outcome)) {
            if (way_.resumed && ++resumptions_ < (1 << 14)) return;
            end_.abandoned = true;
        } else if (std::holds_alternative<InterruptWindow>(outcome)) {
            return serve_interrupt();
        } else if (std::holds_alternative<Halted>(outcome)) {
            if (cpu_->get(Reg::pending_debug) != 0) return;
            if (interrupt_at_ != ~u64{0} && cpu_->interruptible()) return serve_interrupt();
        } else if (const auto* exit = std::get_if<Exit>(&outcome); exit != nullptr) {
            if (exit->kind != ExitKind::memory && !exit->string) {
                cpu_->set(Reg::rax, (cpu_->get(Reg::rax) ^ 0x5A) & 0xFFFFFFFF);
                cpu_->retire_exit(*exit);
                ++end_.steps;
                return;
            }
        }
        end_.outcome = describe(outcome);
    }

    void serve_interrupt() {
        interrupt_at_ = ~u64{0};
        cpu_->set_interrupt_line(false);
        const u64 before = cpu_->steps();
        const auto ended = cpu_->deliver_interrupt(around_.interrupt_vector);
        end_.steps += cpu_->steps() - before;
        if (ended) end_.outcome = describe(*ended);
    }

    // What holds of a run of one step.
    void check(const CpuState& before, const Memory& memory_before, std::span<const u8> code,
               const Outcome& outcome, u64 made) {
        std::string broken;
        const CpuState now = cpu_->state();
        const Memory memory_now = machine_->snapshot_memory();
        check_state(broken, now);
        look_for_remapping(now, memory_now);
        const auto* fault = std::get_if<Fault>(&outcome);
        const auto* exit = std::get_if<Exit>(&outcome);
        const bool gap = std::holds_alternative<NotModelled>(outcome);
        if (std::holds_alternative<StepsDone>(outcome) && made != 1) broken += "not one step\n";
        if ((fault != nullptr || exit != nullptr || gap) && made != 0) {
            broken += "a step that did not retire\n";
        }
        if (fault != nullptr || exit != nullptr || gap) {
            unchanged(broken, before, now, memory_before, memory_now, code, fault);
        }
        if (broken.empty()) return;
        const u64 rip = before[Reg::rip];
        end_.broken += fmt::format("at {:x} ({}):\n{}", rip, describe(outcome), broken);
    }

    // Nothing of an instruction that has not retired is visible (SDM 3A 6.5), but for what the
    // manual says stays: the iterations of REP, the exception flags of MXCSR, DR6.
    void unchanged(std::string& broken, const CpuState& before, CpuState now,
                   const Memory& memory_before, const Memory& memory_now, std::span<const u8> code,
                   const Fault* fault) {
        if (before[Reg::tr] != now[Reg::tr]) return;  // a fault in the context of a new task
        const auto same = [&](std::initializer_list<Reg> regs) {
            for (const Reg reg : regs) now.set(reg, before.get(reg));
        };
        if (fault != nullptr) {
            now[Reg::rip] -= fault->length;  // RIP is after INT n
            // A trap also ends HLT.
            if (fault->vector == Vector::db) {
                same({Reg::dr6, Reg::dr7, Reg::pending_debug, Reg::activity});
            }
            // MMX state comes before the fault (docs/limitations.md); #UD is #XM without
            // OSXMMEXCPT.
            const bool simd =
                fault->vector == Vector::xm ||
                (fault->vector == Vector::ud && (before[Reg::cr4] & cr4::osxmmexcpt) == 0);
            if (simd) same({Reg::mxcsr, Reg::fsw, Reg::ftw});
            const bool masked_store = std::find(code.begin(), code.end(), 0xF7) != code.end();
            if (masked_store) same({Reg::fsw, Reg::ftw});
        }
        const bool repeated = is_repeated_string(code);
        if (repeated) {
            same({Reg::rcx, Reg::rsi, Reg::rdi, Reg::rax, Reg::rflags, Reg::pending_debug});
        }
        list_registers(broken, before, now);
        if (!repeated) list_memory(broken, memory_before, memory_now, true);
    }

    void look_for_remapping(const CpuState& s, const Memory& memory) {
        if (s[Reg::identity_map] != 0) return;
        for (const Reg reg : {Reg::cr0, Reg::cr3, Reg::cr4, Reg::efer}) {
            if (s[reg] != world_.state[reg]) end_.remapped = true;
        }
        memory.for_each_difference(
            world_.memory, [&](u64 page, const u8* old_bytes, const u8* new_bytes) {
                const u64 address = page << kPageShift;
                if (address < at::kTables || address >= at::kTablesEnd) return;
                for (u64 i = 0; i < kPageSize; ++i) {
                    const bool low = i % (world_.paging == Paging::bits32 ? 4 : 8) == 0;
                    if (old_bytes[i] == new_bytes[i]) continue;
                    if (!low || !only_access_bits(old_bytes[i], new_bytes[i])) end_.remapped = true;
                }
            });
    }

    const Way& way_;
    const World& world_;
    const Surroundings& around_;
    Random sizes_;
    Witness witness_;
    std::unique_ptr<Machine> machine_;
    Cpu* cpu_ = nullptr;
    u64 interrupt_at_;
    unsigned resumptions_ = 0;
    Ending end_;
};

}  // namespace

std::string describe(const Outcome& outcome) {
    if (const auto* f = std::get_if<Fault>(&outcome)) {
        return fmt::format("fault {} {} {:x} {:x} {} {}", static_cast<unsigned>(f->vector),
                           f->has_error_code, f->error_code, f->cr2, f->software, f->length);
    }
    if (const auto* e = std::get_if<Exit>(&outcome)) {
        return fmt::format("exit {} {} {} {} {} {:x} {} {:x} {:x} {:x} {:x} {:x}",
                           static_cast<unsigned>(e->kind), e->length, e->in, e->string, e->rep,
                           e->port, e->size, e->data, e->msr, e->value, e->gpa, e->gva);
    }
    if (const auto* gap = std::get_if<NotModelled>(&outcome)) return "not modelled: " + gap->what;
    if (std::holds_alternative<Halted>(outcome)) return "halted";
    if (std::holds_alternative<Shutdown>(outcome)) return "shutdown";
    if (std::holds_alternative<OutOfMemory>(outcome)) return "out of memory";
    return fmt::format("outcome {}", outcome.index());
}

Ending run_in(const Way& way, const World& world, const Surroundings& around) {
    return Runner(way, world, around).run();
}

std::string difference(const Ending& a, const Ending& b) {
    std::string out;
    if (a.outcome != b.outcome) out += a.outcome + " / " + b.outcome + "\n";
    if (a.steps != b.steps) out += fmt::format("{} / {} steps\n", a.steps, b.steps);
    list_registers(out, a.state, b.state);
    list_memory(out, a.memory, b.memory, false);
    return out;
}

std::string check_all_ways(const World& world, const Surroundings& around, u64 pieces) {
    const Way at_once{.name = "at once"};
    const Way observed{.name = "observed", .observed = true};
    const Way others[] = {
        {.name = "at once again"},
        {.name = "step by step", .pieces = 1},
        {.name = "checked", .pieces = 1, .checked = true},
        {.name = "in pieces", .pieces = pieces | 2},
        {.name = "saved and restored", .pieces = pieces | 2, .restored = true},
        {.name = "flushed", .pieces = pieces | 2, .flushed = true},
        {.name = "observed in pieces", .pieces = pieces | 2, .observed = true},
        {.name = "few iterations", .pieces = pieces | 2, .iterations = 3, .resumed = true},
    };
    const Ending first = run_in(at_once, world, around);
    const Ending watched = run_in(observed, world, around);
    std::string out;
    if (!first.abandoned && !first.remapped) {
        if (const std::string what = difference(first, watched); !what.empty()) {
            out += "at once / observed:\n" + what;
        }
    }
    bool excused = first.abandoned || first.remapped;
    std::string differences;
    for (const Way& way : others) {
        const Ending ending = run_in(way, world, around);
        out += ending.broken;
        excused = excused || ending.abandoned || ending.remapped;
        std::string what = difference(first, ending);
        if (way.observed && ending.seen != watched.seen) what += "other events\n";
        if (!what.empty()) differences += fmt::format("at once / {}:\n{}", way.name, what);
        // Nothing excuses what is not deterministic.
        if (way.name == "at once again" && !what.empty()) return differences;
    }
    if (!excused) out += differences;
    return out;
}

const std::set<u16>& reached_mnemonics() { return reached; }

}  // namespace vtlsim::tests
