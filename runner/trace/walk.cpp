#include "runner/trace/walk.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "model/log/event.hpp"
#include "runner/format.hpp"
#include "sim/nearest.hpp"

namespace vtlsim::runner::trace {
namespace {

constexpr auto kInsn = static_cast<u16>(model::EventKind::insn);

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t start = text.find_first_not_of(" \t\r", i);
        if (start == std::string_view::npos) break;
        const std::size_t end = std::min(text.find_first_of(" \t\r", start), text.size());
        out.emplace_back(text.substr(start, end - start));
        i = end;
    }
    return out;
}

std::optional<u64> number(std::string_view text) {
    const bool hex = text.starts_with("0x");
    if (hex) text.remove_prefix(2);
    u64 value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
        return std::nullopt;
    }
    return value;
}

// The guest leaves; under KVM, where userspace sees it leave.
bool is_exit(const Recording& r, u32 i) {
    const std::string_view name = r.kinds[r.items[i].kind].name;
    return name.starts_with("exit-") || name == "kvm-exit";
}
bool is_switch(const Recording& r, u32 i) {
    const std::string_view kind = r.kinds[r.items[i].kind].name;
    return kind == "vtl-enter" || kind == "vtl-return" || kind == "bounce";
}
bool is_mark(const Recording& r, u32 i) {
    return r.kinds[r.items[i].kind].alarm ||
           std::any_of(r.notes.begin(), r.notes.end(), [&](const Note& n) { return n.item == i; });
}

constexpr std::string_view kRegisters[] = {"rax", "rcx", "rdx", "rbx", "rsp",    "rbp",
                                           "rsi", "rdi", "r8",  "r9",  "r10",    "r11",
                                           "r12", "r13", "r14", "r15", "rflags", "cr2"};

struct CommandRow {
    std::string_view name, arguments, meaning;
};
constexpr CommandRow kCommands[] = {
    {"step", "[N]", "N events on (1)"},
    {"back", "[N]", "N events back (1)"},
    {"go", "STEP", "to the first event of a step; \"go start\", \"go end\""},
    {"intercept", "[back]", "to the next intercept, or the one before"},
    {"switch", "[back]", "to the next VTL switch, or the one before"},
    {"mark", "[back]", "to the next alarm, failure or changed order, or the one before"},
    {"run", "PATTERN", "on to the next event like this"},
    {"break", "[PATTERN]", "stop there in \"continue\"; without a pattern: list all"},
    {"delete", "N", "drop break number N"},
    {"continue", "[back]", "to the next break, or the one before"},
    {"search", "TEXT", "to the next event with this text, from the start again if need be"},
    {"print", "NAME",
     "a value by name (cpu.rax, vtl0.rip, context.rax, message.port, 0x9000), or a "
     "register's copies (rax)"},
    {"follow", "NAME", "which steps moved a value to where it is; the name stays on the screen"},
    {"last", "[NAME]", "to the last write of a value before here"},
    {"show", "", "print the view"},
    {"help", "", "this list"},
    {"quit", "", ""},
};

}  // namespace

Pattern::Pattern(const Recording& r, std::string_view text) : text_(text), words_(words_of(text)) {
    if (words_.empty()) return;
    for (std::size_t i = 0; i < r.kinds.size(); ++i) {
        if (r.kinds[i].name == words_[0]) kind_ = static_cast<u16>(i);
    }
    if (kind_) words_.erase(words_.begin());
}

bool Pattern::matches(const Recording& r, u32 number_of_item) const {
    const Item& item = r.items[number_of_item];
    if (kind_ && *kind_ != item.kind) return false;
    const auto in_text = words_of(item.text);
    return std::all_of(words_.begin(), words_.end(), [&](const std::string& word) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos) return item.text.find(word) != std::string::npos;
        const std::string name = word.substr(0, equals), value = word.substr(equals + 1);
        if (name == "lane") return r.lanes[item.lane].name == value;
        if (name == "vp") return fmt::format("{}", item.vp) == value;
        if (name == "vtl") return fmt::format("{}", item.vtl) == value;
        if (name == "rip") return number(value) == item.rip;
        if (name == "at") {
            const auto label = r.labels.find(item.rip);
            return label != r.labels.end() && label->second == value;
        }
        return std::find(in_text.begin(), in_text.end(), word) != in_text.end();
    });
}

Walk::Walk(const Recording& recording) : r_(recording), state_(recording) {}

bool Walk::go(i64 item) {
    const i64 last = static_cast<i64>(r_.items.size()) - 1;
    const i64 to = std::clamp<i64>(item, 0, std::max<i64>(last, 0));
    item_ = static_cast<u32>(to);
    return to == item;
}

std::string Walk::label(u32 i) const {
    const Item& item = r_.items[i];
    const auto label = r_.labels.find(item.rip);
    if (item.kind == kInsn && label != r_.labels.end()) {
        return fmt::format("{}: {}", label->second, item.text);
    }
    if (item.kind == kInsn || item.kind + 1u == r_.kinds.size()) return item.text;
    return fmt::format("{}{}{}", r_.kinds[item.kind].name, item.text.empty() ? "" : " ", item.text);
}

std::string Walk::where() const {
    if (r_.items.empty()) return "nothing happened";
    const Item& item = r_.items[item_];
    return fmt::format("{:>8}  {:<10}  vtl {}  {:#x}  {}", item.step, r_.lanes[item.lane].name,
                       item.vtl, item.rip, label(item_));
}

template <class Test>
std::string Walk::seek(int direction, Test test, std::string_view what) {
    for (i64 i = static_cast<i64>(item_) + direction;
         i >= 0 && i < static_cast<i64>(r_.items.size()); i += direction) {
        if (test(static_cast<u32>(i))) {
            go(i);
            return where();
        }
    }
    return fmt::format("!there is no {} {} this", what, direction > 0 ? "behind" : "before");
}

std::string Walk::print(std::string_view wanted) const {
    const int vp = r_.items[item_].vp;
    std::vector<Source> places;
    if (const auto place = state_.place(wanted, item_)) {
        places.push_back(*place);
    } else {
        places = state_.copies(wanted, vp, item_);
    }
    if (places.empty()) return fmt::format("!nothing is called {}", wanted);
    std::string out;
    for (const Source& p : places) {
        const Write* w = state_.last_write(p, item_);
        out += fmt::format("{}{:<22} {:<18} {}", out.empty() ? "" : "\n", state_.name(p, item_),
                           hex_text(state_.value(p, item_)),
                           w == nullptr ? "since the start"
                                        : fmt::format("{} in step {}: {}",
                                                      w->changed ? "written" : "written again",
                                                      r_.items[w->item].step, label(w->item)));
    }
    return out;
}

std::string Walk::follow(std::string_view wanted) const {
    auto place = state_.place(wanted, item_);
    if (!place) return fmt::format("!nothing is called {}", wanted);
    std::string out;
    u32 at = item_;
    constexpr int kMost = 40;
    for (int i = 0; i < kMost && place; ++i) {
        const State::Link link = state_.origin(*place, at);
        out += fmt::format("{}{:<22} {:<18} {}", out.empty() ? "" : "\n", state_.name(*place, at),
                           hex_text(state_.value(*place, at)),
                           link.write == nullptr
                               ? "since the start"
                               : fmt::format("step {}: {}", r_.items[link.write->item].step,
                                             label(link.write->item)));
        if (link.write == nullptr) break;
        for (const Source& s : link.write->sources) {
            if (s.kind == Source::Kind::item) {
                out += fmt::format("\n{:<22} {:<18} step {}: {}", "", "", r_.items[s.where].step,
                                   label(static_cast<u32>(s.where)));
            }
        }
        at = link.write->item == 0 ? 0 : link.write->item - 1;
        place = link.from;
    }
    return out;
}

std::string Walk::command(std::string_view line) {
    const std::vector<std::string> words = words_of(line);
    if (words.empty() || words[0][0] == '#') return {};
    const std::string& name = words[0];
    const std::size_t at = line.find(name) + name.size();
    const std::size_t start = line.find_first_not_of(" \t", at);
    std::string rest(start == std::string_view::npos ? "" : line.substr(start));
    rest.erase(rest.find_last_not_of(" \t\r\n") + 1);
    if (r_.items.empty() && name != "quit" && name != "help") return "!nothing happened";
    const int direction = rest == "back" ? -1 : 1;
    const auto known = std::find_if(std::begin(kCommands), std::end(kCommands),
                                    [&](const CommandRow& c) { return c.name == name; });
    if (known == std::end(kCommands)) {
        std::vector<std::string_view> names;
        for (const CommandRow& c : kCommands) names.push_back(c.name);
        const std::string_view near = sim::nearest_name(name, names);
        return fmt::format("!unknown command {}{}", name,
                           near.empty() ? "" : fmt::format("; did you mean {}?", near));
    }
    if (name == "step" || name == "back") {
        const auto n = rest.empty() ? std::optional<u64>(1) : number(rest);
        if (!n || *n > r_.items.size() + 1) return fmt::format("!{} is no number of events", rest);
        const auto by = static_cast<i64>(*n);
        return go(item_ + (name == "step" ? by : -by))
                   ? where()
                   : where() + (name == "step" ? "  (the end)" : "  (the start)");
    }
    if (name == "go") {
        if (rest == "start" || rest == "end") {
            go(rest == "end" ? static_cast<i64>(r_.items.size()) - 1 : 0);
            return where();
        }
        const auto n = number(rest);
        if (!n) return fmt::format("!{} is no step", rest);
        const auto hit = std::find_if(r_.items.begin(), r_.items.end(),
                                      [&](const Item& i) { return i.step >= *n; });
        go(std::min<i64>(hit - r_.items.begin(), static_cast<i64>(r_.items.size()) - 1));
        return where();
    }
    if (name == "intercept") {
        return seek(
            direction, [&](u32 i) { return is_exit(r_, i); }, "intercept");
    }
    if (name == "switch") {
        return seek(
            direction, [&](u32 i) { return is_switch(r_, i); }, "VTL switch");
    }
    if (name == "mark") {
        const std::string found = seek(
            direction, [&](u32 i) { return is_mark(r_, i); }, "mark");
        std::string notes;
        for (const Note& n : r_.notes) {
            if (n.item == item_ && found[0] != '!') notes += "\n          " + n.text;
        }
        return found + notes;
    }
    if (name == "run") {
        if (rest.empty()) return "!run needs a pattern";
        const Pattern pattern(r_, rest);
        return seek(
            1, [&](u32 i) { return pattern.matches(r_, i); }, "event like that");
    }
    if (name == "break") {
        if (!rest.empty()) {
            breaks_.emplace_back(r_, rest);
            return fmt::format("break {}: {}", breaks_.size(), rest);
        }
        std::string out;
        for (std::size_t i = 0; i < breaks_.size(); ++i) {
            out += fmt::format("{}break {}: {}", i == 0 ? "" : "\n", i + 1, breaks_[i].text());
        }
        return out.empty() ? "no breaks" : out;
    }
    if (name == "delete") {
        const auto n = number(rest);
        if (!n || *n == 0 || *n > breaks_.size()) return fmt::format("!there is no break {}", rest);
        breaks_.erase(breaks_.begin() + static_cast<i64>(*n) - 1);
        return fmt::format("{} breaks left", breaks_.size());
    }
    if (name == "continue") {
        if (breaks_.empty()) return "!there are no breaks";
        return seek(
            direction,
            [&](u32 i) {
                return std::any_of(breaks_.begin(), breaks_.end(),
                                   [&](const Pattern& p) { return p.matches(r_, i); });
            },
            "break");
    }
    if (name == "search") {
        if (rest.empty()) return "!search needs a text";
        const auto test = [&](u32 i) { return label(i).find(rest) != std::string::npos; };
        const u32 from = item_;
        const std::string found = seek(1, test, "such text");
        if (found[0] != '!') return found;
        item_ = 0;
        if (test(0)) return where();
        const std::string again = seek(1, test, "such text");
        if (again[0] == '!') item_ = from;
        return again[0] == '!' ? fmt::format("!nothing has {} in it", rest) : again;
    }
    if (name == "print") return rest.empty() ? "!print needs a name" : print(rest);
    if (name == "follow") {
        if (rest.empty()) return "!follow needs a name";
        const std::string out = follow(rest);
        if (out[0] != '!') followed_ = rest;
        return out;
    }
    if (name == "last") {
        const std::string& wanted = rest.empty() ? followed_ : rest;
        if (wanted.empty()) return "!last needs a name";
        const auto place = state_.place(wanted, item_);
        if (!place) return fmt::format("!nothing is called {}", wanted);
        const Write* w = state_.last_write(*place, item_);
        if (w != nullptr && w->item == item_ && item_ > 0) w = state_.last_write(*place, item_ - 1);
        if (w == nullptr || w->item == item_) return "!nothing before this has written it";
        go(w->item);
        return where();
    }
    if (name == "show") {
        std::string out;
        for (const ScreenLine& l : screen(100, 40)) {
            out += (l.style == ScreenLine::Style::here ? "> " : "  ") + l.text + "\n";
        }
        out.pop_back();
        return out;
    }
    if (name == "help") return help();
    over_ = true;
    return {};
}

std::string Walk::help() {
    std::string out;
    for (const CommandRow& c : kCommands) {
        out += fmt::format("{}{:<10} {:<10} {}", out.empty() ? "" : "\n", c.name, c.arguments,
                           c.meaning);
    }
    return out;
}

// --- the screen ---------------------------------------------------------------------------------

void Walk::add_lanes(std::vector<ScreenLine>& out, std::size_t columns, std::size_t rows) const {
    using Style = ScreenLine::Style;
    // Each lane's events begin in its own column, as far as there is room.
    const std::size_t lanes = r_.lanes.size();
    const std::size_t width =
        columns > 60 ? std::clamp<std::size_t>((columns - 50) / lanes, 2, 14) : 1;
    std::string head(10, ' ');
    for (std::size_t i = 0; i < lanes; ++i) {
        head += fmt::format("{:<{}}", r_.lanes[i].name.substr(0, width > 1 ? width - 1 : 1), width);
    }
    out.push_back({Style::head, head});
    const std::size_t before = rows / 2;
    const std::size_t first = item_ > before ? item_ - before : 0;
    for (std::size_t i = first; i < first + rows; ++i) {
        if (i >= r_.items.size()) {
            out.push_back({Style::dim, ""});
            continue;
        }
        const Item& item = r_.items[i];
        const auto n = static_cast<u32>(i);
        const Style style = n == item_                  ? Style::here
                            : r_.kinds[item.kind].alarm ? Style::alarm
                            : item.kind == kInsn        ? Style::dim
                                                        : Style::plain;
        out.push_back(
            {style, fmt::format("{:>8}  {}{}{}", item.step, std::string(item.lane * width, ' '),
                                label(n), is_mark(r_, n) ? "  <--" : "")});
    }
}

void Walk::add_registers(std::vector<ScreenLine>& out, std::size_t columns) const {
    using Style = ScreenLine::Style;
    const int vp = r_.items[item_].vp;
    out.push_back({Style::head, fmt::format("live CPU of VP {}, VTL {} (* changed in this step)",
                                            vp, r_.items[item_].vtl)});
    const std::size_t each = 27;
    const std::size_t per_line = std::max<std::size_t>(1, columns / each);
    std::string line;
    bool changed = false;
    std::size_t in_line = 0;
    const auto flush = [&] {
        if (in_line != 0) out.push_back({changed ? Style::changed : Style::plain, line});
        line.clear();
        changed = false;
        in_line = 0;
    };
    for (std::string_view reg : kRegisters) {
        const std::vector<Source> copies = state_.copies(reg, vp, item_);
        if (copies.empty()) continue;
        const auto writes = state_.writes_of(item_);
        const bool now = std::any_of(writes.begin(), writes.end(), [&](const Write& w) {
            return !w.memory && w.where == copies[0].where && w.changed;
        });
        changed = changed || now;
        line += fmt::format("{:>6}{} {:<19}", reg, now ? "*" : " ",
                            hex_text(state_.value(copies[0], item_)));
        if (++in_line == per_line) flush();
    }
    flush();
    if (followed_.empty()) return;
    if (const auto place = state_.place(followed_, item_)) {
        const Write* w = state_.last_write(*place, item_);
        out.push_back(
            {Style::plain,
             fmt::format("{} = {}, {}", followed_, hex_text(state_.value(*place, item_)),
                         w == nullptr ? "since the start"
                                      : fmt::format("written in step {} by {}",
                                                    r_.items[w->item].step, label(w->item)))});
    }
}

void Walk::add_code(std::vector<ScreenLine>& out, std::size_t rows) const {
    using Style = ScreenLine::Style;
    const u64 rip = r_.items[item_].rip;
    out.push_back({Style::head, fmt::format("code at {:#x}", rip)});
    const auto hit = std::find_if(r_.code.begin(), r_.code.end(),
                                  [&](const CodeLine& c) { return c.address == rip; });
    if (hit == r_.code.end()) {
        out.push_back({Style::dim, "          no source for this address"});
        return;
    }
    const auto at = hit - r_.code.begin();
    const auto half = static_cast<i64>(rows) / 2;
    const i64 first = std::max<i64>(0, at - half);
    for (i64 i = first;
         i < std::min<i64>(static_cast<i64>(r_.code.size()), first + static_cast<i64>(rows)); ++i) {
        const CodeLine& c = r_.code[static_cast<std::size_t>(i)];
        out.push_back(
            {i == at ? Style::here : Style::plain, fmt::format("{:>10x}  {}", c.address, c.text)});
    }
}

std::vector<ScreenLine> Walk::screen(std::size_t columns, std::size_t rows) const {
    std::vector<ScreenLine> out;
    if (r_.items.empty() || rows < 6) return {{ScreenLine::Style::plain, where()}};
    std::vector<ScreenLine> below;
    add_registers(below, columns);
    const std::size_t left = rows > below.size() + 2 ? rows - below.size() - 2 : 4;
    const std::size_t code = left > 14 ? std::min<std::size_t>(left / 3, 12) : 0;
    add_lanes(out, columns, left - code - (code > 0 ? 1 : 0));
    out.insert(out.end(), below.begin(), below.end());
    if (code > 0) add_code(out, code);
    for (ScreenLine& l : out) {
        if (l.text.size() > columns) l.text.resize(columns);
    }
    if (out.size() > rows) out.resize(rows);
    return out;
}

}  // namespace vtlsim::runner::trace
