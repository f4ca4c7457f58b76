// What is wrong with an input file, where, and in how many places.
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::runner {

// A place in a text file. Lines and columns count from 1; a column counts Unicode code points, as
// editors do, and a byte order mark has none.
struct Position {
    u32 line = 1;
    u32 column = 1;
    friend auto operator<=>(const Position&, const Position&) = default;
};

struct Diagnostic {
    std::string file;
    u32 line = 1;
    u32 column = 1;
    std::string path;  // JSON pointer (RFC 6901) of the value meant; empty for the whole document
    std::string message;

    // "file:line:col: /json/pointer: message", without the pointer where it is empty. No newline.
    std::string to_string() const;
    friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

// Collects diagnostics, so that one run can report every error of a file. Bounded: the first
// kMaxKept are kept, later ones are only counted.
class Diagnostics {
  public:
    static constexpr std::size_t kMaxKept = 100;

    // A diagnostic equal to one already kept is dropped: the same value may be read twice.
    void add(Diagnostic diagnostic);
    // All of the other's, in its sorted order.
    void append(const Diagnostics& other);

    // True once add() only counts; callers may then skip the work of building a message.
    bool full() const { return kept_.size() == kMaxKept; }
    bool empty() const { return count_ == 0; }
    // How many were added, kept or not.
    std::size_t count() const { return count_; }

    // Those kept, by file, line and column; equal places stay in the order they were added.
    std::vector<Diagnostic> sorted() const;
    // sorted(), one line each, and a last line saying how many more there were, if any.
    std::string to_string() const;

  private:
    std::vector<Diagnostic> kept_;
    std::size_t count_ = 0;
};

// Input text made fit for one line of a message: in double quotes, with quotes, backslashes and
// control characters escaped, cut to kMaxQuoted code points. Takes any bytes.
inline constexpr std::size_t kMaxQuoted = 60;
std::string in_quotes(std::string_view text);
// The same without the quotes, for names that become part of a JSON pointer.
std::string printable(std::string_view text);

}  // namespace vtlsim::runner
