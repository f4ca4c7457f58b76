#include <charconv>

#include <fmt/format.h>

#include "runner/format.hpp"
#include "runner/run_kvm.hpp"

namespace vtlsim::runner {
namespace {

using model::kvm::Observation;

struct Path {
    std::size_t exit = 0;  // from 1; 0: the last
    std::string name;      // what is left
};

std::optional<Path> parse(const std::string& path) {
    constexpr std::string_view kPrefix = "exit.";
    if (!path.starts_with(kPrefix)) return Path{0, path};
    Path out;
    const char* const first = path.data() + kPrefix.size();
    const char* const last = path.data() + path.size();
    const auto [end, error] = std::from_chars(first, last, out.exit);
    if (error != std::errc() || out.exit == 0 || out.exit > 100'000) return std::nullopt;
    if (end != last && *end != '.') return std::nullopt;
    out.name = end == last ? "reason" : std::string(end + 1, last);
    return out;
}

bool is_register(const std::string& name) {
    const sim::RegInfo* row = sim::find_register(name);
    return row != nullptr && row->bits <= 64;
}

std::string reason_text(const model::kvm::RunExit& exit) {
    if (exit.result != model::kvm::Return::ok) {
        return value_text(model::Format::kvm_return, static_cast<u64>(exit.result));
    }
    return value_text(model::Format::kvm_reason, static_cast<u64>(exit.reason));
}

std::string of_exit(const Observation& o, const std::string& name) {
    if (name == "reason") return reason_text(o.exit);
    if (name == "text") return exit_text(o.exit);
    if (name == "mp_state") return hex_text({o.mp_state, 0});
    if (name == "needs_completion") return hex_text({o.needs_completion, 0});
    if (name == "pending_exception") {
        return o.events.exception_pending ? fmt::format("{:#x}", o.events.exception) : "none";
    }
    return hex_text({o.registers[sim::find_register(name)->reg], 0});
}

bool of_exit_known(const std::string& name) {
    return name == "reason" || name == "text" || name == "mp_state" || name == "needs_completion" ||
           name == "pending_exception" || is_register(name);
}

}  // namespace

bool known_kvm_value(const std::string& path) {
    const auto p = parse(path);
    if (!p) return false;
    if (p->exit != 0) return of_exit_known(p->name);
    return path == "exits" || path == "runs" || path == "writes" || path == "reads" ||
           path == "mp_state" || is_register(path);
}

bool kvm_value_is_number(const std::string& path) {
    const auto p = parse(path);
    return p && (path == "runs" || path == "reads" || p->name == "mp_state" ||
                 p->name == "needs_completion" || is_register(p->name));
}

std::string kvm_value(const KvmRun& run, const std::string& path) {
    const auto& all = run.transcript.observations;
    if (path == "exits") {
        std::string out;
        for (const Observation& o : all) {
            out += fmt::format("{}{}", out.empty() ? "" : ",", reason_text(o.exit));
        }
        return out;
    }
    if (path == "runs") return hex_text({all.size(), 0});
    if (path == "reads") return hex_text({run.transcript.reads, 0});
    if (path == "writes") {
        std::string out;
        for (const auto& w : run.transcript.writes) {
            if (!out.empty()) out += ',';
            for (u8 b : w.data) out += fmt::format("{:02x}", b);
        }
        return out;
    }
    const Path p = *parse(path);
    const std::size_t number = p.exit == 0 ? all.size() : p.exit;
    if (number == 0 || number > all.size()) return "-";
    return of_exit(all[number - 1], p.name);
}

}  // namespace vtlsim::runner
