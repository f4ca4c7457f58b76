#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/lesson_text.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "runner/json/reader.hpp"

namespace vtlsim::cli {
namespace {

constexpr int kBadInput = 2;

// The first line, without the mark of a heading.
std::string_view title_of(const Lesson& lesson) {
    std::string_view line = lesson.text.substr(0, lesson.text.find('\n'));
    line.remove_prefix(std::min(line.find_first_not_of("# "), line.size()));
    return line;
}

bool show(std::string_view text) {
    const char* pager = std::getenv("PAGER");
    if (isatty(STDOUT_FILENO) == 0 || pager == nullptr || *pager == '\0') {
        return write_output("", text);
    }
    FILE* pipe = popen(pager, "w");
    if (pipe == nullptr) return write_output("", text);
    std::fwrite(text.data(), 1, text.size(), pipe);  // a pager that is left early is no error
    return pclose(pipe) != -1;
}

}  // namespace

int learn_verb(const LearnOptions& options) {
    if (options.lesson.empty()) {
        std::string list;
        for (const Lesson& l : lessons) {
            list += fmt::format("{}  docs/lessons/{}.md\n", title_of(l), l.name);
        }
        list += "\nvtlsim learn N prints one of them.\n";
        return write_output("", list) ? 0 : kBadInput;
    }
    std::vector<std::string_view> names;
    for (const Lesson& l : lessons) {
        names.push_back(l.name);
        const std::string_view number = l.name.substr(0, l.name.find('-'));
        if (options.lesson == l.name || options.lesson == number)
            return show(l.text) ? 0 : kBadInput;
    }
    return usage_error(fmt::format("learn: there is no lesson {}{}",
                                   runner::in_quotes(options.lesson),
                                   runner::did_you_mean(options.lesson, names)));
}

}  // namespace vtlsim::cli
