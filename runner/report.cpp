#include "runner/report.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vtlsim::runner {

Summary summarize(const std::vector<FileResults>& files) {
    Summary s;
    for (const FileResults& f : files) {
        for (const Result& r : f.results) {
            ++s.total;
            ++(r.good() ? s.passed : s.failed);
        }
    }
    return s;
}

std::string json_report(const std::vector<FileResults>& files) {
    using nlohmann::ordered_json;
    ordered_json results = ordered_json::array();
    for (const FileResults& f : files) {
        for (const Result& r : f.results) {
            ordered_json variant = ordered_json::object();
            for (const auto& [name, value] : r.variant) variant[name] = value;
            ordered_json failures = ordered_json::array();
            for (const Failure& failure : r.failures) {
                failures.push_back({{"expectation", failure.expectation},
                                    {"expected", failure.expected},
                                    {"got", failure.got},
                                    {"step", failure.step}});
            }
            results.push_back({{"scenario", r.scenario},
                               {"file", r.file},
                               {"variant", variant},
                               {"status", status_name(r.status)},
                               {"failures", failures},
                               {"steps", r.steps},
                               {"hash", r.hash}});
        }
    }
    const Summary s = summarize(files);
    const ordered_json report = {
        {"results", results},
        {"summary", {{"passed", s.passed}, {"failed", s.failed}, {"total", s.total}}}};
    // File names come from the system and need not be UTF-8.
    return report.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

int exit_status(const std::vector<FileResults>& files) {
    bool failed = false;
    bool limited = false;
    for (const FileResults& f : files) {
        if (!f.scenario) return 2;
        for (const Result& r : f.results) {
            failed = failed || (!r.good() && r.status != Status::limit);
            limited = limited || r.status == Status::limit;
        }
    }
    if (files.empty()) return 2;
    return failed ? 1 : limited ? 3 : 0;
}

}  // namespace vtlsim::runner
