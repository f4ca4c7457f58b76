// A walk through a recording by commands: what `vtlsim step` shows, without a terminal.
#pragma once

#include "runner/trace/state.hpp"

namespace vtlsim::runner::trace {

// Which items a break or a run stops at: a kind of event, "lane=vmm", "vp=1", "vtl=0", "at=LABEL",
// "rip=0x1000", "name=value" as the text has it; any other word is to be part of the text.
class Pattern {
  public:
    Pattern(const Recording& recording, std::string_view text);
    bool matches(const Recording& recording, u32 item) const;
    const std::string& text() const { return text_; }

  private:
    std::string text_;
    std::optional<u16> kind_;
    std::vector<std::string> words_;
};

// One line of the screen, with what to make of it.
struct ScreenLine {
    enum class Style : u8 { plain, dim, here, changed, alarm, head } style = Style::plain;
    std::string text;
};

class Walk {
  public:
    // The recording must outlive it.
    explicit Walk(const Recording& recording);

    u32 item() const { return item_; }
    bool over() const { return over_; }  // after "quit"

    // Does one command and says what came of it. "!" in front: it was wrong.
    std::string command(std::string_view line);
    // The whole view, in so many columns and rows.
    std::vector<ScreenLine> screen(std::size_t columns, std::size_t rows) const;
    // What the commands are.
    static std::string help();

  private:
    bool go(i64 item);
    std::string where() const;  // the item, in one line
    std::string label(u32 item) const;
    template <class Test>
    std::string seek(int direction, Test test, std::string_view what);
    std::string print(std::string_view name) const;
    std::string follow(std::string_view name) const;
    void add_lanes(std::vector<ScreenLine>& out, std::size_t columns, std::size_t rows) const;
    void add_registers(std::vector<ScreenLine>& out, std::size_t columns) const;
    void add_code(std::vector<ScreenLine>& out, std::size_t rows) const;

    const Recording& r_;
    State state_;
    std::vector<Pattern> breaks_;
    std::string followed_;
    u32 item_ = 0;
    bool over_ = false;
};

}  // namespace vtlsim::runner::trace
