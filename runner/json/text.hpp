// Text that came out of JSON strings, and the way back from a place in it to the file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runner/diagnostic.hpp"

namespace vtlsim::runner {

// Walks a JSON string as it is written in the file, and keeps step with its decoded text.
class StringWalk {
  public:
    // `spelling` begins after the opening quote of a well-formed string and may run on behind the
    // closing one; `position` is its place.
    StringWalk(std::string_view spelling, Position position)
        : spelling_(spelling), position_(position) {}

    // Goes on to the character that the byte `offset` of the decoded text belongs to; to the
    // closing quote if the text ends before. Never backwards.
    void advance_to(std::size_t offset);

    Position position() const { return position_; }

  private:
    std::string_view spelling_;
    Position position_;
    std::size_t decoded_ = 0;  // how much decoded text lies behind
};

// The text of a string, or of an array of strings joined by newlines, as Node::text() makes it.
// Refers to the document, which must outlive it.
class JsonText {
  public:
    const std::string& text() const { return text_; }

    // The place in the file of a byte of text(); of the end for offsets behind it.
    Position position(std::size_t offset) const;
    // The same for the byte `column` of line `line` of text(), both from 1. A column behind the end
    // of its line means that end; a line behind the last one the end of the text.
    Position position(u32 line, u32 column) const;

  private:
    friend class Node;
    struct Line {
        std::size_t start;   // in text_
        std::size_t string;  // where the JSON string that holds it starts in text_
        StringWalk walk;     // stands at the line's first character
    };

    explicit JsonText(Position of_value) : of_value_(of_value) {}

    // Appends one JSON string, on a new line if there is one already.
    void append(std::string_view decoded, StringWalk walk);

    Position of_value_;  // for a text without any string
    std::string text_;
    std::vector<Line> lines_;
};

}  // namespace vtlsim::runner
