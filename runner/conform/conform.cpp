#include "runner/conform/conform.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "runner/conform/generate.hpp"
#include "runner/conform/native.hpp"
#include "runner/conform/simulate.hpp"
#include "runner/conform/undefined.hpp"
#include "runner/diagnostic.hpp"
#include "runner/exec_protocol.hpp"
#include "runner/json/reader.hpp"
#include "sim/asm/disassembler.hpp"
#include "sim/insn/rows.hpp"
#include "sim/state/bits.hpp"

namespace vtlsim::runner {
namespace conform {
namespace {

namespace flag = sim::flag;

// Flags that instructions of user mode can change; RF and TF belong to the fault's delivery.
constexpr u64 kFlags = flag::kStatus | flag::df | flag::nt | flag::ac | flag::id;

template <class T>
T get(const std::array<u8, 512>& fx, std::size_t at) {
    T value;
    std::memcpy(&value, &fx[at], sizeof(value));
    return value;
}

// One part of the state that differs.
struct Difference {
    std::string name;
    std::string native;
    std::string simulated;
};

struct Comparison {
    std::vector<Difference> defined;
    std::vector<std::string> undefined;  // names only
    bool equal() const { return defined.empty() && undefined.empty(); }
};

std::string wide(const std::array<u8, 512>& fx, std::size_t at, std::size_t size) {
    std::string out = "0x";
    for (std::size_t i = size; i-- > 0;) out += fmt::format("{:02x}", fx[at + i]);
    return out;
}

bool same_fpu(const std::array<u8, 512>& a, const std::array<u8, 512>& b) {
    bool same = std::memcmp(&a[0], &b[0], kFtw + 1) == 0 &&
                std::memcmp(&a[kMxcsr], &b[kMxcsr], 4) == 0 &&
                std::memcmp(&a[kXmm], &b[kXmm], 256) == 0;
    for (std::size_t at = kSt; at < kXmm; at += 16) {
        same = same && std::memcmp(&a[at], &b[at], 10) == 0;
    }
    return same;
}

Comparison compare(const Case& c, const Answer& native, const Answer& simulated) {
    Comparison out;
    const State& n = native.out;
    const State& s = simulated.out;
    const auto check = [&](std::string_view name, u64 a, u64 b) {
        if (a != b) {
            out.defined.push_back(
                {std::string(name), fmt::format("{:#x}", a), fmt::format("{:#x}", b)});
        }
    };
    check("vector", n.vector == kNoVector ? 256 : n.vector, s.vector == kNoVector ? 256 : s.vector);
    check("rip", n.rip, s.rip);
    // Only now and then is anything undefined of interest: decode late.
    Undefined undefined;
    sim::Decoded d;
    const bool same_state = n.gpr == s.gpr && ((n.rflags ^ s.rflags) & kFlags) == 0 &&
                            n.cr2 == s.cr2 && same_fpu(n.fx, s.fx) &&
                            native.scratch == simulated.scratch;
    if (!same_state && n.vector == s.vector && decode(c.code.data(), c.length, d)) {
        undefined = undefined_after(d, c.in, s);
    }
    const auto loosely = [&](std::string_view name, u64 a, u64 b, u64 ignored) {
        check(name, a & ~ignored, b & ~ignored);
        if (((a ^ b) & ignored) != 0) out.undefined.push_back(std::string(name));
    };
    if (n.vector != kNoVector && n.vector == s.vector) {
        // Linux tells a user's access to the kernel's half as one to a present page.
        const u32 ignored = n.vector == static_cast<u32>(sim::Vector::pf) ? 1 : 0;
        check("error_code", n.error_code & ~ignored, s.error_code & ~ignored);
        loosely("cr2", n.cr2, s.cr2, undefined.cr2_offset ? kPage - 1 : 0);
    }
    for (std::size_t i = 0; i < 16; ++i) {
        if (n.gpr[i] == s.gpr[i]) continue;
        const bool result = undefined.destination && d.is_reg(0) &&
                            i == static_cast<std::size_t>(ZydisRegisterGetId(d[0].reg.value));
        loosely(sim::info(sim::gpr(i)).name, n.gpr[i], s.gpr[i], result ? ~u64{0} : 0);
    }
    loosely("rflags", n.rflags & kFlags, s.rflags & kFlags, undefined.flags);
    check("fcw", get<u16>(n.fx, kFcw), get<u16>(s.fx, kFcw));
    check("mxcsr", get<u32>(n.fx, kMxcsr), get<u32>(s.fx, kMxcsr));
    if (undefined.fpu_top && get<u16>(n.fx, kFsw) != get<u16>(s.fx, kFsw)) {
        out.undefined.push_back("top");
    } else {
        loosely("fsw", get<u16>(n.fx, kFsw), get<u16>(s.fx, kFsw), undefined.fsw);
        check("ftw", get<u8>(n.fx, kFtw), get<u8>(s.fx, kFtw));
    }
    for (std::size_t i = undefined.fpu_top ? 8 : 0; i < 24; ++i) {
        const std::size_t at = kSt + 16 * i;
        const std::size_t size = i < 8 ? 10 : 16;
        if (std::memcmp(&n.fx[at], &s.fx[at], size) == 0) continue;
        out.defined.push_back({i < 8 ? fmt::format("st{}", i) : fmt::format("xmm{}", i - 8),
                               wide(n.fx, at, size), wide(s.fx, at, size)});
    }
    if (native.scratch != simulated.scratch) {
        for (std::size_t i = 0; i < kPage; ++i) {
            if (native.scratch[i] == simulated.scratch[i]) continue;
            if (undefined.destination && d.is_mem(0)) {
                out.undefined.push_back("result");
                break;
            }
            check(fmt::format("mem[{:#x}]", kScratchPage + i), native.scratch[i],
                  simulated.scratch[i]);
        }
    }
    return out;
}

struct Tally {
    u64 cases = 0, mismatches = 0, undefined = 0, gaps = 0;
};

class Run {
  public:
    Run(const ConformOptions& options, std::FILE* progress)
        : options_(options), progress_(progress) {}

    ConformResult operator()() {
        std::string reason;
        native_ = Native::start(reason);
        if (native_ == nullptr) {
            result_.skipped = true;
            result_.report = fmt::format("skipped: {}\n", reason);
            return std::move(result_);
        }
        std::vector<ZydisMnemonic> only;
        for (const sim::InsnRow& row : sim::all_rows()) {
            const std::string name = ZydisMnemonicGetString(row.mnemonic);
            if (std::find(options_.only.begin(), options_.only.end(), name) !=
                options_.only.end()) {
                only.push_back(row.mnemonic);
            }
        }
        forms_ = enumerate_forms(only);
        if (!forms_.run.empty()) all_cases();
        report();
        return std::move(result_);
    }

  private:
    // The forms take turns, so that a short run is spread over all of them.
    void all_cases() {
        u64 number = 0;
        u64 next_progress = kProgressStep;
        // A form of which no case can be made is passed over in the end.
        const u64 last = options_.count * 4 + forms_.run.size();
        while (result_.cases < options_.count && number < last) {
            std::vector<const Form*> of;
            auto cases = native_->cases();
            const u64 wanted = std::min<u64>(cases.size(), options_.count - result_.cases);
            while (of.size() < wanted && number < last) {
                const Form& form = forms_.run[number % forms_.run.size()];
                if (generate(form, options_.seed, number, cases[of.size()])) of.push_back(&form);
                ++number;
            }
            if (!batch(of)) return;
            if (progress_ != nullptr && result_.cases >= next_progress) {
                fmt::print(progress_, "{} cases, {} mismatches\n", result_.cases,
                           result_.mismatches);
                next_progress += kProgressStep;
            }
        }
    }

    // False: the child has died.
    bool batch(const std::vector<const Form*>& of) {
        native_->submit(of.size());
        simulated_answers_.resize(of.size());
        for (std::size_t i = 0; i < of.size(); ++i) {
            simulator_.run(native_->cases()[i], simulated_answers_[i]);
        }
        std::string reason;
        const auto answers = native_->answers(reason);
        if (answers.size() != of.size()) {
            ++result_.mismatches;
            died_ = reason;
            return false;
        }
        for (std::size_t i = 0; i < of.size(); ++i) {
            ++result_.cases;
            Tally& tally = tallies_[ZydisMnemonicGetString(of[i]->mnemonic)];
            ++tally.cases;
            if (simulated_answers_[i].not_modelled) {
                ++tally.gaps;
                ++result_.gaps;
                continue;
            }
            const Case& c = native_->cases()[i];
            const Comparison comparison = compare(c, answers[i], simulated_answers_[i]);
            if (!comparison.defined.empty()) {
                ++tally.mismatches;
                ++result_.mismatches;
                auto& kept = failures_[ZydisMnemonicGetString(of[i]->mnemonic)];
                if (kept.size() < kShown) kept.push_back(c);
            } else if (!comparison.undefined.empty()) {
                ++tally.undefined;
                ++result_.undefined;
            }
        }
        return true;
    }

    // Both answers to one case.
    std::optional<Comparison> again(const Case& c) {
        native_->cases()[0] = c;
        native_->submit(1);
        Answer simulated;
        simulator_.run(c, simulated);
        std::string reason;
        const auto answers = native_->answers(reason);
        if (answers.empty()) return std::nullopt;
        return compare(c, answers[0], simulated);
    }

    // The case with as much of the state as possible at rest, still failing.
    Case shrunk(Case c) {
        const auto attempt = [&](auto change) {
            Case smaller = c;
            change(smaller);
            const auto comparison = again(smaller);
            if (comparison && !comparison->defined.empty()) c = smaller;
        };
        const auto put16 = [](Case& k, std::size_t at, u16 value) {
            std::memcpy(&k.in.fx[at], &value, 2);
        };
        attempt([&](Case& k) {
            k.in.fx.fill(0);
            put16(k, kFcw, 0x37F);
            put16(k, kMxcsr, 0x1F80);
        });
        attempt([](Case& k) { k.in.gpr.fill(0); });
        for (std::size_t i = 0; i < 16; ++i) attempt([i](Case& k) { k.in.gpr[i] = 0; });
        attempt([](Case& k) { k.in.rflags = 0x202; });
        for (std::size_t i = 0; i < 24; ++i) {
            attempt([i](Case& k) { std::fill_n(&k.in.fx[kSt + 16 * i], 16, u8{0}); });
        }
        attempt([&](Case& k) { put16(k, kFcw, 0x37F); });
        attempt([&](Case& k) { put16(k, kFsw, 0); });
        attempt([&](Case& k) { put16(k, kFtw, 0); });
        attempt([&](Case& k) { put16(k, kMxcsr, 0x1F80); });
        attempt([](Case& k) { k.data.fill(0); });
        for (std::size_t i = 0; i < 16; ++i) {
            for (int bit = 63; bit >= 0; --bit) {
                const u64 mask = u64{1} << bit;
                if ((c.in.gpr[i] & mask) != 0) {
                    attempt([i, mask](Case& k) { k.in.gpr[i] &= ~mask; });
                }
            }
        }
        return c;
    }

    void describe(const Case& c) {
        const auto comparison = again(c);
        if (!comparison) return;
        add("  {} [{:02x}]",
            sim::disassemble(std::span(c.code).first(c.length), kCodePage, sim::AsmMode::bits64),
            fmt::join(std::span(c.code).first(c.length), " "));
        add("{}\n", comparison->defined.empty() ? ": not repeated" : "");
        std::size_t shown = 0;
        for (const Difference& d : comparison->defined) {
            if (++shown > 8) break;
            add("    {}: host {}, vtlsim {}\n", d.name, d.native, d.simulated);
        }
    }

    template <class... Args>
    void add(fmt::format_string<Args...> format, Args&&... args) {
        fmt::format_to(std::back_inserter(result_.report), format, std::forward<Args>(args)...);
    }

    void report() {
        add("seed {}: {} cases of {} forms of {} mnemonics; {} mismatches\n", options_.seed,
            result_.cases, forms_.run.size(), tallies_.size(), result_.mismatches);
        if (!died_.empty()) add("{}\n", died_);
        for (const auto& [name, cases] : failures_) {
            const Tally& tally = tallies_[name];
            add("{}: {} of {} cases differ\n", name, tally.mismatches, tally.cases);
            if (!died_.empty()) continue;
            for (const Case& c : cases) describe(c);
            if (options_.shrink) shrink(cases.front());
        }
        list("differ only in state that is undefined or AMD's own", &Tally::undefined);
        list("not modelled", &Tally::gaps);
        std::map<std::string, std::vector<std::string>> by_reason;
        for (const auto& [name, reason] : forms_.left_out) by_reason[reason].push_back(name);
        for (const auto& [reason, names] : by_reason) {
            add("not run, {}: {} mnemonics: {}\n", reason, names.size(), fmt::join(names, " "));
        }
    }

    void shrink(const Case& failing) {
        const Case c = shrunk(failing);
        sim::Decoded d;
        bool memory = false;
        if (decode(c.code.data(), c.length, d)) {
            for (unsigned i = 0; i < d.insn.operand_count; ++i) memory = memory || d.is_mem(i);
        }
        const std::string line = exec_line(c, memory);
        add("  smallest case found:\n");
        describe(c);
        std::string answer;
        ExecSession().answer(line, answer);
        add("    exec: {}\n    vtlsim: {}", line, answer);
        const auto comparison = again(c);
        add("    host: the same but");
        for (const Difference& x : comparison->defined) add(" {}={}", x.name, x.native);
        add("\n");
    }

    void list(std::string_view what, u64 Tally::*count) {
        std::string names;
        u64 total = 0;
        for (const auto& [name, tally] : tallies_) {
            if (tally.*count == 0) continue;
            total += tally.*count;
            names += fmt::format(" {} {}/{}", name, tally.*count, tally.cases);
        }
        if (total != 0) add("{}: {} cases:{}\n", what, total, names);
    }

    static constexpr u64 kProgressStep = 1'000'000;
    static constexpr std::size_t kShown = 3;

    const ConformOptions& options_;
    std::FILE* progress_;
    std::unique_ptr<Native> native_;
    Simulated simulator_;
    std::vector<Answer> simulated_answers_;
    Forms forms_;
    std::map<std::string, Tally> tallies_;
    std::map<std::string, std::vector<Case>> failures_;
    std::string died_;
    ConformResult result_;
};

}  // namespace
}  // namespace conform

ConformResult conform_host(const ConformOptions& options, std::FILE* progress) {
    return conform::Run(options, progress)();
}

std::string check_mnemonics(const std::vector<std::string>& only) {
    std::vector<std::string_view> names;
    for (const sim::InsnRow& row : sim::all_rows()) {
        names.push_back(ZydisMnemonicGetString(row.mnemonic));
    }
    for (const std::string& name : only) {
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        return fmt::format("no instruction {}{}", in_quotes(name), did_you_mean(name, names));
    }
    return {};
}

}  // namespace vtlsim::runner
