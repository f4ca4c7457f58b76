// A terminal that shows one screen and gives single keys, and is left as it was found: at the end,
// when stopped, and when killed by a signal that can be caught.
#pragma once

#include <string>
#include <vector>

#include "runner/trace/walk.hpp"

namespace vtlsim::cli {

class Terminal {
  public:
    // Standard input and output must be terminals.
    Terminal();
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    static bool there();

    struct Size {
        std::size_t columns, rows;
    };
    Size size() const;
    void draw(const std::vector<runner::trace::ScreenLine>& lines, const std::string& status) const;

    // A key: a character, or a name ("left", "page-down"). "resize" when the window has changed, or
    // the program was stopped and goes on; "end" when the terminal is gone or Ctrl-C was pressed.
    std::string key();
};

}  // namespace vtlsim::cli
