// Reports in the formats of others: JUnit's XML as Ant defines it, extended by `skipped` as Jenkins
// does, and TAP 13.
#include <algorithm>

#include <fmt/format.h>

#include "runner/json/scanner.hpp"
#include "runner/report.hpp"
#include "vtlsim_version.hpp"

namespace vtlsim::runner {
namespace {

// XML 1.0 (2.2): of the control characters only tab, newline and carriage return are characters.
std::string xml(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const std::string_view c = text.substr(0, std::max<std::size_t>(length, 1));
        const auto first = static_cast<u8>(c[0]);
        const bool other = c == "\xEF\xBF\xBE" || c == "\xEF\xBF\xBF";  // U+FFFE, U+FFFF
        if (length == 0 || other || first == 0x7F || (first < 0x20 && first != '\n')) {
            out += '?';
        } else if (c == "&") {
            out += "&amp;";
        } else if (c == "<") {
            out += "&lt;";
        } else if (c == ">") {
            out += "&gt;";
        } else if (c == "\"") {
            out += "&quot;";
        } else if (c == "\n") {
            out += "&#10;";
        } else {
            out += c;
        }
        text.remove_prefix(c.size());
    }
    return out;
}

std::string failure_lines(const Result& r) {
    std::string out;
    for (const Failure& f : r.failures) {
        out += fmt::format("{}: expected {}, got {} (step {})\n", f.expectation, f.expected, f.got,
                           f.step);
    }
    if (!r.around.empty()) out += "events:\n";
    for (const std::string& line : r.around) out += line + '\n';
    return out;
}

std::string junit_case(const Result& r) {
    std::string out = fmt::format("    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3f}\"",
                                  xml(r.id()), xml(r.file), r.seconds);
    if (r.status == Status::pass) return out + "/>\n";
    if (r.status == Status::xfail) {
        return out + fmt::format(
                         ">\n      <skipped>fails as expected: {}</skipped>\n"
                         "    </testcase>\n",
                         xml(r.xfail));
    }
    const std::string_view tag = r.status == Status::error ? "error" : "failure";
    const Failure& first = r.failures.front();
    return out + fmt::format(
                     ">\n      <{0} type=\"{1}\" message=\"{2}\">{3}</{0}>\n"
                     "    </testcase>\n",
                     tag, status_name(r.status),
                     xml(fmt::format("{}: expected {}, got {}", first.expectation, first.expected,
                                     first.got)),
                     xml(failure_lines(r)));
}

// A scalar of YAML that is read back as it is.
std::string yaml(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<u8>(c) < 0x20 || c == 0x7F) {
            out += fmt::format("\\x{:02x}", static_cast<u8>(c));
        } else {
            out += c;
        }
    }
    return out + '"';
}

// TAP's descriptions end at '#', which starts a directive.
std::string tap_text(std::string text) {
    std::replace_if(
        text.begin(), text.end(),
        [](char c) { return c == '#' || static_cast<u8>(c) < 0x20 || c == 0x7F; }, ' ');
    return text;
}

}  // namespace

std::string junit_report(const std::vector<FileResults>& files, const std::string& timestamp) {
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
    std::size_t id = 0;
    for (const FileResults& file : files) {
        std::size_t failures = 0, errors = 0, skipped = 0;
        double seconds = 0;
        for (const Result& r : file.results) {
            errors += r.status == Status::error ? 1 : 0;
            skipped += r.status == Status::xfail ? 1 : 0;
            failures += !r.good() && r.status != Status::error ? 1 : 0;
            seconds += r.seconds;
        }
        const Result& any = file.results.front();
        // Ant's schema: no blank around a name, all of these attributes, and no other. Jenkins'
        // wants a property where there are properties.
        out += fmt::format(
            "  <testsuite name=\"{}\" package=\"{}\" id=\"{}\" tests=\"{}\" failures=\"{}\" "
            "errors=\"{}\"{} time=\"{:.3f}\" timestamp=\"{}\" hostname=\"localhost\">\n"
            "    <properties>\n      <property name=\"vtlsim\" value=\"{}\"/>\n    </properties>\n",
            xml(any.scenario), xml(any.file), id++, file.results.size(), failures, errors,
            skipped == 0 ? "" : fmt::format(" skipped=\"{}\"", skipped), seconds, timestamp,
            kVersion);
        for (const Result& r : file.results) out += junit_case(r);
        out += "    <system-out></system-out>\n    <system-err></system-err>\n  </testsuite>\n";
    }
    return out + "</testsuites>\n";
}

std::string tap_report(const std::vector<FileResults>& files) {
    std::string out = fmt::format("TAP version 13\n1..{}\n", summarize(files).total);
    std::size_t number = 0;
    for (const FileResults& file : files) {
        for (const Result& r : file.results) {
            const bool ok = r.status == Status::pass;
            out += fmt::format("{}ok {} - {}", ok ? "" : "not ", ++number, tap_text(r.id()));
            if (r.status == Status::xfail) out += " # TODO " + tap_text(r.xfail);
            out += '\n';
            if (ok) continue;
            out += fmt::format("  ---\n  status: {}\n  file: {}\n  failures:\n",
                               status_name(r.status), yaml(r.file));
            for (const Failure& f : r.failures) {
                out += fmt::format(
                    "    - expectation: {}\n      expected: {}\n      got: {}\n      step: {}\n",
                    yaml(f.expectation), yaml(f.expected), yaml(f.got), f.step);
            }
            out += "  ...\n";
        }
    }
    return out;
}

}  // namespace vtlsim::runner
