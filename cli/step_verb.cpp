#include <fstream>
#include <iostream>

#include <fmt/format.h>

#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "cli/verbs.hpp"
#include "runner/json/reader.hpp"
#include "runner/trace/walk.hpp"

namespace vtlsim::cli {
namespace {

using runner::trace::ScreenLine;
using runner::trace::Walk;

constexpr int kFailed = 1;
constexpr int kBadInput = 2;

// One command a line, its answer behind it. A command that is wrong, or finds nothing, ends it.
int run_script(Walk& walk, std::istream& in, const std::string& name) {
    std::string line, out;
    for (int number = 1; !walk.over() && std::getline(in, line); ++number) {
        const std::string answer = walk.command(line);
        if (answer.starts_with('!')) {
            write_output("", out);
            write_error(fmt::format("{}:{}:1: {}\n", name, number, answer.substr(1)));
            return kFailed;
        }
        if (!answer.empty()) out += fmt::format("> {}\n{}\n", line, answer);
    }
    return write_output("", out) ? 0 : kBadInput;
}

// What keys do, as commands.
struct KeyRow {
    std::string_view key, command;
};
constexpr KeyRow kKeys[] = {{"right", "step"},
                            {"j", "step"},
                            {"down", "step"},
                            {"left", "back"},
                            {"k", "back"},
                            {"up", "back"},
                            {"page-down", "step 20"},
                            {"page-up", "back 20"},
                            {"home", "go start"},
                            {"end-key", "go end"},
                            {"n", "intercept"},
                            {"N", "intercept back"},
                            {"v", "switch"},
                            {"V", "switch back"},
                            {"x", "mark"},
                            {"X", "mark back"},
                            {"c", "continue"},
                            {"C", "continue back"},
                            {"l", "last"},
                            {"q", "quit"}};
// Those that ask for the rest of a command.
constexpr KeyRow kPrompts[] = {{"r", "run "},   {"/", "search "}, {"b", "break "}, {"g", "go "},
                               {"p", "print "}, {"f", "follow "}, {":", ""}};

constexpr std::string_view kHint =
    "←→ step  ? help  q quit  n intercept  v switch  x mark  r run to  / search  b break  c "
    "continue  "
    "p print  f follow  l last write  : command";

std::vector<ScreenLine> lines_of(const std::string& text, std::size_t columns, std::size_t rows) {
    std::vector<ScreenLine> out;
    std::size_t start = 0;
    while (start <= text.size() && out.size() < rows) {
        const std::size_t end = std::min(text.find('\n', start), text.size());
        out.push_back(
            {ScreenLine::Style::plain, text.substr(start, std::min(end - start, columns))});
        start = end + 1;
    }
    return out;
}

// Reads a line at the bottom; nothing: given up.
std::optional<std::string> ask(Terminal& terminal, const std::vector<ScreenLine>& screen,
                               const std::string& begin) {
    std::string text = begin;
    for (;;) {
        terminal.draw(screen, ": " + text + "_");
        const std::string key = terminal.key();
        if (key == "\n" || key == "\r") return text;
        if (key == "escape" || key == "end") return std::nullopt;
        if ((key == "\x7f" || key == "\b") && !text.empty()) {
            text.pop_back();
        } else if (key.size() == 1 && static_cast<u8>(key[0]) >= 0x20 && key != "\x7f") {
            text += key;
        }
    }
}

int walk_in(Terminal& terminal, Walk& walk) {
    std::string status(kHint);
    while (!walk.over()) {
        const auto [columns, rows] = terminal.size();
        const std::vector<ScreenLine> screen = walk.screen(columns, rows > 1 ? rows - 1 : 1);
        terminal.draw(screen, status);
        const std::string key = terminal.key();
        if (key == "end") break;
        if (key == "resize") continue;
        std::optional<std::string> command;
        for (const KeyRow& row : kKeys) {
            if (row.key == key) command = row.command;
        }
        for (const KeyRow& row : kPrompts) {
            if (row.key == key) command = ask(terminal, screen, std::string(row.command));
        }
        if (key == "?") command = "help";
        if (!command) continue;
        std::string answer = walk.command(*command);
        if (answer.starts_with('!')) answer.erase(0, 1);
        if (answer.find('\n') != std::string::npos) {
            // More than a line: it has the screen until a key is pressed.
            terminal.draw(lines_of(answer, columns, rows - 1), "any key goes back");
            terminal.key();
            answer.clear();
        }
        status = answer.empty() ? std::string(kHint) : answer;
    }
    return 0;
}

}  // namespace

int step_verb(const StepOptions& options) {
    int status = 0;
    const auto recording =
        record_run(options.file, options.variant, options.schedule, true, status);
    if (!recording) return status;
    Walk walk(*recording);
    if (!options.script.empty()) {
        if (options.script == "-") return run_script(walk, std::cin, "-");
        std::ifstream file(options.script);
        if (!file) {
            write_error(fmt::format("{}:1:1: cannot be read\n", options.script));
            return kBadInput;
        }
        return run_script(walk, file, options.script);
    }
    if (!Terminal::there()) {
        return usage_error("step needs a terminal; --script FILE walks without one");
    }
    Terminal terminal;
    return walk_in(terminal, walk);
}

}  // namespace vtlsim::cli
