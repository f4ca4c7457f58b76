#include "cli/terminal.hpp"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

namespace vtlsim::cli {
namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";  // the other screen, no cursor
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr int kCaught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

// What handlers touch: a terminal is one a process.
termios found;                         // as the terminal was
struct sigaction before[NSIG];         // NOLINT: one slot a signal
volatile std::sig_atomic_t ended = 0;  // Ctrl-C
volatile std::sig_atomic_t resized = 0;

void put(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
}

void make_raw() {
    termios raw = found;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    put(kEnter);
}
void restore() {
    put(kLeave);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &found);
}

// Only async-signal-safe calls: write, tcsetattr, sigaction, raise.
void handle(int signal) {
    const int error = errno;
    switch (signal) {
        case SIGINT:
            ended = 1;
            break;
        case SIGWINCH:
            resized = 1;
            break;
        case SIGTSTP:
            restore();
            raise(SIGSTOP);
            break;
        case SIGCONT:
            make_raw();
            resized = 1;
            break;
        default:  // dies of it, as it would have without us
            restore();
            sigaction(signal, &before[signal], nullptr);
            raise(signal);
    }
    errno = error;
}

}  // namespace

bool Terminal::there() { return isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0; }

Terminal::Terminal() {
    tcgetattr(STDIN_FILENO, &found);
    struct sigaction action {};
    action.sa_handler = handle;
    sigemptyset(&action.sa_mask);
    for (int signal : kCaught) sigaction(signal, &action, &before[signal]);
    make_raw();
}
Terminal::~Terminal() {
    restore();
    for (int signal : kCaught) sigaction(signal, &before[signal], nullptr);
}

Terminal::Size Terminal::size() const {
    winsize w{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0 || w.ws_row == 0)
        return {80, 24};
    return {w.ws_col, w.ws_row};
}

void Terminal::draw(const std::vector<runner::trace::ScreenLine>& lines,
                    const std::string& status) const {
    using Style = runner::trace::ScreenLine::Style;
    const auto code = [](Style style) -> std::string_view {
        switch (style) {
            case Style::dim:
                return "\x1b[2m";
            case Style::here:
                return "\x1b[7m";
            case Style::changed:
                return "\x1b[33m";
            case Style::alarm:
                return "\x1b[1;31m";
            case Style::head:
                return "\x1b[1m";
            default:
                return "";
        }
    };
    const auto printable = [](std::string text) {
        for (char& c : text) {
            if (static_cast<u8>(c) < 0x20 || c == 0x7F) c = ' ';  // a scenario's text is no command
        }
        return text;
    };
    std::string out = "\x1b[H";
    for (const auto& line : lines) {
        out += fmt::format("{}{}\x1b[0m\x1b[K\r\n", code(line.style), printable(line.text));
    }
    out += "\x1b[J";
    const Size s = size();
    out += fmt::format("\x1b[{};1H\x1b[7m{:<{}.{}}\x1b[0m", s.rows, printable(status), s.columns,
                       s.columns);
    put(out);
}

std::string Terminal::key() {
    const auto byte = [](int milliseconds) -> int {
        pollfd p{STDIN_FILENO, POLLIN, 0};
        const int n = poll(&p, 1, milliseconds);
        if (n <= 0) return n < 0 ? -2 : -1;
        char c = 0;
        const ssize_t got = read(STDIN_FILENO, &c, 1);
        return got == 1 ? static_cast<u8>(c) : got == 0 ? -3 : -2;
    };
    for (;;) {
        if (ended) return "end";
        if (resized) {
            resized = 0;
            return "resize";
        }
        // A signal between the tests and poll() is seen a little later.
        const int c = byte(500);
        if (c == -3) return "end";
        if (c < 0) continue;
        if (c != 0x1b) return std::string(1, static_cast<char>(c));
        // A key with a name begins with ESC; what follows comes at once.
        std::string sequence;
        for (int next = byte(40); next >= 0; next = byte(40)) {
            sequence += static_cast<char>(next);
            if (sequence.size() > 1 && ((next >= 'A' && next <= 'Z') || next == '~')) break;
        }
        constexpr std::pair<std::string_view, std::string_view> kNames[] = {
            {"[A", "up"},    {"[B", "down"},    {"[C", "right"},    {"[D", "left"},
            {"OA", "up"},    {"OB", "down"},    {"OC", "right"},    {"OD", "left"},
            {"[H", "home"},  {"[F", "end-key"}, {"[5~", "page-up"}, {"[6~", "page-down"},
            {"[1~", "home"}, {"[4~", "end-key"}};
        for (const auto& [text, name] : kNames) {
            if (sequence == text) return std::string(name);
        }
        if (sequence.empty()) return "escape";
    }
}

}  // namespace vtlsim::cli
