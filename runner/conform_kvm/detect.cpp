#include "runner/conform_kvm/detect.hpp"

#include <filesystem>

#include <fmt/format.h>

#if defined(__linux__) && defined(__x86_64__)
#include <cpuid.h>
#include <csignal>
#include <cstring>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace vtlsim::runner::conform_kvm {
namespace {

using model::kvm::Action;
using model::kvm::ActionKind;
using model::kvm::ExitReason;
using model::kvm::Guest;
using model::kvm::Mode;
using model::kvm::Rule;
using model::kvm::Script;
using model::kvm::Transcript;
using model::kvm::Version;
using sim::Reg;

constexpr u64 kAt = 0x1000;
constexpr u16 kPort = 0x80, kQuirkPort = 0x7E;

// OUT 80h, IN 80h, OUT 7Eh: each two bytes.
struct Probe {
    Guest guest;
    Script script;
};
Probe probe(Mode mode) {
    Probe out;
    out.guest.mode = mode;
    out.guest.memory = {{kAt, {0xE6, kPort, 0xE4, kPort, 0xE6, kQuirkPort, 0xEB, 0xFE}}};
    out.guest.registers = {{Reg::rip, kAt}};
    Rule last;
    last.when.port = kQuirkPort;
    Action stop;
    stop.kind = ActionKind::stop;
    last.then = {stop};
    out.script.rules = {last};
    return out;
}

// Where RIP is at each exit tells who has moved it when (kvm-pio.md 1.11).
ModeFacts facts_of(const Transcript& t) {
    ModeFacts out;
    if (!t.problem.empty()) {
        out.why = t.problem;
        return out;
    }
    if (t.observations.size() != 3 || t.observations.back().exit.reason != ExitReason::io) {
        out.why =
            t.observations.empty() ? "no exit" : model::kvm::exit_text(t.observations.back().exit);
        return out;
    }
    const auto moved = [&](std::size_t i) {
        return t.observations[i].registers[Reg::rip] != kAt + 2 * i;
    };
    const bool out_moved = moved(0), in_moved = moved(1), quirk_moved = moved(2);
    if (in_moved) {
        out.version = Version::v1c;
    } else if (out_moved) {
        out.version = Version::slow;
    } else {
        out.version = quirk_moved ? Version::v3 : Version::v2;
    }
    // A fault of native code leaves RF in the flags; an emulator that executes all does not.
    constexpr u64 kRf = 0x10000;
    out.native =
        out.version != Version::slow || (t.observations[1].registers[Reg::rflags] & kRf) != 0;
    return out;
}

#if defined(__linux__) && defined(__x86_64__)

std::string kernel_name() {
    utsname name{};
    if (uname(&name) != 0) return "Linux";
    return fmt::format("{} {}", name.sysname, name.release);
}

std::string processor_name() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid(0, &a, &b, &c, &d);
    char vendor[13] = {};
    std::memcpy(vendor, &b, 4);
    std::memcpy(vendor + 4, &d, 4);
    std::memcpy(vendor + 8, &c, 4);
    __get_cpuid(1, &a, &b, &c, &d);
    const unsigned base = a >> 8 & 15;
    const unsigned family = base == 15 ? base + (a >> 20 & 255) : base;
    return fmt::format("{} family {} model {}", vendor, family, (a >> 4 & 15) | (a >> 12 & 0xF0));
}

// The probes once in a child. Empty: it lived.
std::string try_in_child() {
    const pid_t child = fork();
    if (child < 0) return "no child process for a first try of /dev/kvm";
    if (child == 0) {
        std::string why;
        if (const auto kvm = RealKvm::open(why)) {
            for (Mode mode : kAllModes) {
                const Probe p = probe(mode);
                kvm->run(p.guest, p.script, {});
            }
        }
        _exit(0);
    }
    constexpr int kPolls = 3000;  // 30 s
    for (int i = 0; i < kPolls; ++i) {
        int status = 0;
        if (waitpid(child, &status, WNOHANG) == child) {
            return status == 0 ? "" : "a child process did not survive a first try of /dev/kvm";
        }
        usleep(10'000);
    }
    kill(child, SIGKILL);
    return "a first try of /dev/kvm does not come back";
}

#else

std::string kernel_name() { return {}; }
std::string processor_name() { return {}; }
std::string try_in_child() { return {}; }

#endif

std::string module_names() {
    std::string out;
    for (const char* name : {"kvm_intel", "kvm_amd", "kvm_pvm"}) {
        std::error_code ignored;
        if (!std::filesystem::exists(fmt::format("/sys/module/{}", name), ignored)) continue;
        out += out.empty() ? name : fmt::format(", {}", name);
    }
    return out.empty() ? "unknown module" : out;
}

std::string_view version_name(Version version) {
    return model::find_switch(model::kvm::switch_rows(), "kvm")
        ->values[static_cast<std::size_t>(version)]
        .name;
}

}  // namespace

std::string_view mode_name(Mode mode) {
    return model::kvm::kModeNames[static_cast<std::size_t>(mode)];
}

std::vector<Mode> KvmFacts::usable() const {
    std::vector<Mode> out;
    for (Mode mode : kAllModes) {
        if (of(mode).version) out.push_back(mode);
    }
    return out;
}

std::string KvmFacts::text() const {
    std::string out = fmt::format("{}, {}, {}\n", kernel, modules, processor);
    for (Mode mode : kAllModes) {
        const ModeFacts& m = of(mode);
        out += fmt::format("  {:12} {}\n", mode_name(mode),
                           !m.version ? "does not run: " + m.why
                                      : fmt::format("kvm={}, {}", version_name(*m.version),
                                                    m.native ? "native code" : "all emulated"));
    }
    return out;
}

std::optional<KvmFacts> detect(RealKvm& kvm, std::string& why) {
    why = try_in_child();
    if (!why.empty()) return std::nullopt;
    KvmFacts facts;
    facts.kernel = kernel_name();
    facts.modules = module_names();
    facts.processor = processor_name();
    for (Mode mode : kAllModes) {
        const Probe p = probe(mode);
        facts.modes[static_cast<std::size_t>(mode)] = facts_of(kvm.run(p.guest, p.script, {}));
    }
    if (facts.usable().empty()) {
        why = "/dev/kvm runs none of the modes: " + facts.modes[0].why;
        return std::nullopt;
    }
    return facts;
}

}  // namespace vtlsim::runner::conform_kvm
