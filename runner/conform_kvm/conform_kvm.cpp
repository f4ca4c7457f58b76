#include "runner/conform_kvm/conform_kvm.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "runner/conform_kvm/case_json.hpp"
#include "runner/conform_kvm/random.hpp"
#include "runner/conform_kvm/recording.hpp"
#include "runner/conform_kvm/table.hpp"
#include "runner/load.hpp"
#include "runner/load_kvm.hpp"

namespace vtlsim::runner {
namespace {

using namespace conform_kvm;
using model::kvm::ActionKind;
using model::kvm::Guest;
using model::kvm::Script;

// A scenario's name with its variant, fit to be a name again.
std::string recorded_name(const std::string& scenario, const std::string& variant) {
    std::string out = variant.empty() ? scenario : scenario + "-" + variant;
    for (char& c : out) {
        const bool allowed =
            std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
        if (!allowed) c = '-';
    }
    constexpr std::size_t kLongest = 100;
    out.resize(std::min(out.size(), kLongest));
    return out;
}

bool uses(const Script& script, bool (*wanted)(const model::kvm::Action&)) {
    return std::any_of(script.start.begin(), script.start.end(), wanted) ||
           std::any_of(script.rules.begin(), script.rules.end(), [&](const auto& rule) {
               return std::any_of(rule.then.begin(), rule.then.end(), wanted);
           });
}

constexpr u64 kVirtual8086 = 1 << 17;  // EFLAGS.VM
constexpr u64 kHalted = 3;             // KVM_MP_STATE_HALTED

// Why this KVM cannot run the case; empty if it can.
std::string cannot_run(const KvmFacts& facts, const Guest& guest, const Script& script) {
    const ModeFacts& mode = facts.of(guest.mode);
    if (!mode.version) return fmt::format("no {} here: {}", mode_name(guest.mode), mode.why);
    const bool slow = mode.version == model::kvm::Version::slow;
    if (slow && mode.native &&
        uses(script, [](const auto& a) { return a.kind == ActionKind::guest_debug; })) {
        return "single steps and breakpoints of native code do not work on this KVM";
    }
    if (slow && (initial_state(guest)[sim::Reg::rflags] & kVirtual8086) != 0) {
        return "this KVM drops EFLAGS.VM";
    }
    if (uses(script,
             [](const auto& a) { return a.kind == ActionKind::mp_state && a.value == kHalted; })) {
        return "the vCPU of this runner that can be halted is no BSP";
    }
    if (uses(script, [](const auto& a) { return a.kind == ActionKind::init_sipi; })) {
        return "no other vCPU runs here that could send an INIT (KVM_SIGNAL_MSI reaches none)";
    }
    if (uses(script, [](const auto& a) { return a.kind == ActionKind::announce_reset; })) {
        return "no KVM has a call to announce a reset";
    }
    if (uses(script, [](const auto& a) { return a.kind == ActionKind::abandon; })) {
        return "no KVM knows whether a device model lives";
    }
    if (slow && !mode.native &&
        uses(script, [](const auto& a) { return a.kind == ActionKind::irq_window; })) {
        return "while this KVM emulates it reports no interrupt window";
    }
    for (const auto& device : script.devices) {
        if (device.in_kernel && !device.reads.empty()) {
            return "no device of KVM's own answers reads as a script says";
        }
    }
    return {};
}

// An IN from a port whose device is the kernel's has come to userspace.
bool reads_kernel_port(const Script& script, const model::kvm::Transcript& real) {
    const auto served = [&](const model::kvm::Observation& o) {
        return o.exit.reason == model::kvm::ExitReason::io && o.exit.in &&
               std::any_of(script.devices.begin(), script.devices.end(),
                           [&](const auto& d) { return d.in_kernel && d.address == o.exit.port; });
    };
    return std::any_of(real.observations.begin(), real.observations.end(), served);
}

class Conform {
  public:
    Conform(const ConformKvmOptions& options, Diagnostics& diagnostics, std::FILE* progress)
        : options_(options), diagnostics_(diagnostics), progress_(progress) {}

    ConformKvmResult run() {
        std::vector<std::string> files;
        for (const std::string& path : options_.paths) {
            for (auto& file : find_scenarios(path, diagnostics_)) files.push_back(std::move(file));
        }
        std::vector<Scenario> scenarios;
        for (const std::string& file : files) {
            auto scenario = load_scenario(file, diagnostics_);
            if (scenario && scenario->kvm) scenarios.push_back(std::move(*scenario));
        }
        if (!diagnostics_.empty()) {
            out_.bad_input = true;
            return std::move(out_);
        }
        if (!options_.recording.empty()) {
            check_recording();
            return std::move(out_);
        }
        std::string why;
        kvm_ = RealKvm::open(why);
        const auto facts = kvm_ ? detect(*kvm_, why) : std::nullopt;
        if (!facts) {
            out_.report = fmt::format("skipped: {}\n", why);
            ++out_.skipped;
            if (options_.table) out_.report += table_text(nullptr, nullptr, out_.failed);
            return std::move(out_);
        }
        recording_.facts = *facts;
        out_.report = facts->text();
        for (const Scenario& scenario : scenarios) one(*scenario.kvm);
        if (options_.table) out_.report += table_text(kvm_.get(), &*facts, out_.failed);
        if (options_.random != 0) random();
        if (!options_.record.empty()) out_.recording = recording_text(recording_);
        if (!scenarios.empty()) tally();
        return std::move(out_);
    }

  private:
    void tally() {
        out_.report += fmt::format("{} passed, {} failed, {} skipped\n", out_.passed, out_.failed,
                                   out_.skipped);
    }

    // Every guest with every userspace once, whatever versions of KVM the scenario's variants name.
    void one(const KvmScenario& scenario) {
        std::set<std::tuple<std::size_t, std::size_t, model::kvm::Act>> seen;
        std::vector<std::string> problems;
        std::set<std::string> skips;
        std::size_t compared = 0;
        for (const KvmVariant& variant : scenario.variants) {
            if (!seen.emplace(variant.guest, variant.userspace, variant.switches.act).second)
                continue;
            const KvmCase c = scenario.case_of(variant);
            const std::string why = cannot_run(recording_.facts, c.guest, c.script);
            if (!why.empty()) {
                skips.insert(why);
                continue;
            }
            const Both both = run_both(*kvm_, recording_.facts, c.guest, c.script, {});
            const std::string label =
                variant.label().empty() ? "" : fmt::format("[{}] ", variant.label());
            if (!both.model.problem.empty()) {
                problems.push_back(fmt::format("{}the model: {}\n", label, both.model.problem));
                continue;
            }
            if (!both.real.problem.empty()) {
                skips.insert(both.real.problem);
                continue;
            }
            if (reads_kernel_port(c.script, both.real)) {
                skips.insert("this runner has no device in the kernel that can be read");
                continue;
            }
            ++compared;
            recording_.cases.push_back(
                {recorded_name(scenario.name, variant.label()), c.guest, c.script, both.real});
            if (!both.difference) continue;
            problems.push_back(
                fmt::format("{}{}\n{}", label, *both.difference, transcripts_text(both)));
        }
        const char* verdict = !problems.empty() ? "FAIL" : compared == 0 ? "SKIP" : "PASS";
        ++(!problems.empty() ? out_.failed : compared == 0 ? out_.skipped : out_.passed);
        out_.report += fmt::format("{}  {}  {} case{}\n", verdict, scenario.name, compared,
                                   compared == 1 ? "" : "s");
        for (const std::string& why : skips) out_.report += fmt::format("      not run: {}\n", why);
        for (const std::string& problem : problems) out_.report += "      " + problem;
    }

    void random() {
        const RandomOptions options{options_.seed, options_.first, options_.random, options_.shrink,
                                    options_.fresh};
        const RandomResult result = run_random(*kvm_, recording_.facts, options, progress_);
        out_.report += result.report;
        out_.cases = result.cases;
        out_.failed += result.differences;
        for (const RandomCase& c : result.smallest) {
            const CaseHead head{"random-difference", "model and KVM differ",
                                "vtlsim conform kvm --random"};
            out_.report += case_json(head, c.guest(), c.script).dump(2) + "\n";
        }
        if (options_.record.empty()) return;
        const std::vector<model::kvm::Mode> modes = recording_.facts.usable();
        for (u64 i = 0; i < options_.random; ++i) {
            const RandomCase c = random_case(options_.seed, options_.first + i, modes);
            const Both both = run_both(*kvm_, recording_.facts, c.guest(), c.script, {});
            if (both.gap) continue;
            recording_.cases.push_back(
                {fmt::format("random-{}-{}", options_.seed, options_.first + i), c.guest(),
                 c.script, both.real});
        }
    }

    void check_recording() {
        const auto recording = load_recording(options_.recording, diagnostics_);
        if (!recording) {
            out_.bad_input = true;
            return;
        }
        out_.report = recording->facts.text();
        for (const RecordedCase& c : recording->cases) {
            const auto problem = check_recorded(recording->facts, c);
            ++(problem ? out_.failed : out_.passed);
            if (problem) out_.report += fmt::format("FAIL  {}  {}\n", c.name, *problem);
        }
        tally();
    }

    const ConformKvmOptions& options_;
    Diagnostics& diagnostics_;
    std::FILE* progress_;
    std::unique_ptr<RealKvm> kvm_;
    Recording recording_;
    ConformKvmResult out_;
};

}  // namespace

ConformKvmResult conform_with_kvm(const ConformKvmOptions& options, Diagnostics& diagnostics,
                                  std::FILE* progress) {
    return Conform(options, diagnostics, progress).run();
}

}  // namespace vtlsim::runner
