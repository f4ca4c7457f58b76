#include "runner/json/text.hpp"

#include <algorithm>
#include <charconv>

#include "runner/json/scanner.hpp"

namespace vtlsim::runner {

namespace {

struct Step {
    std::size_t raw;      // bytes in the file
    std::size_t decoded;  // bytes in the decoded text
    u32 columns;
};

// The step over the character or escape at the start of a well-formed JSON string's spelling.
Step step_at(std::string_view spelling) {
    if (spelling.front() != '\\') {
        const std::size_t length = utf8_length(spelling);
        return {length, length, 1};
    }
    if (spelling[1] != 'u') {
        return {2, 1, 2};
    }
    u32 unit = 0;
    std::from_chars(spelling.data() + 2, spelling.data() + 6, unit, 16);
    if (unit >= 0xD800 && unit <= 0xDFFF) {
        return {12, 4, 12};  // a surrogate pair
    }
    return {6, unit < 0x80 ? std::size_t{1} : unit < 0x800 ? std::size_t{2} : std::size_t{3}, 6};
}

}  // namespace

void StringWalk::advance_to(std::size_t offset) {
    while (spelling_.front() != '"') {
        const Step step = step_at(spelling_);
        if (decoded_ + step.decoded > offset) {
            return;
        }
        spelling_.remove_prefix(step.raw);
        position_.column += step.columns;
        decoded_ += step.decoded;
    }
}

void JsonText::append(std::string_view decoded, StringWalk walk) {
    if (!lines_.empty()) {
        text_ += '\n';
    }
    const std::size_t string = text_.size();
    text_ += decoded;
    lines_.push_back({string, string, walk});
    for (std::size_t i = 0; i < decoded.size(); ++i) {
        if (decoded[i] == '\n') {
            walk.advance_to(i + 1);
            lines_.push_back({string + i + 1, string, walk});
        }
    }
}

Position JsonText::position(std::size_t offset) const {
    if (lines_.empty()) {
        return of_value_;
    }
    const auto behind =
        std::upper_bound(lines_.begin(), lines_.end(), offset,
                         [](std::size_t wanted, const Line& line) { return wanted < line.start; });
    const Line& line = *(behind - 1);
    StringWalk walk = line.walk;
    walk.advance_to(offset - line.string);
    return walk.position();
}

Position JsonText::position(u32 line, u32 column) const {
    if (line == 0 || line > lines_.size()) {
        return position(text_.size());
    }
    const std::size_t end = line < lines_.size() ? lines_[line].start - 1 : text_.size();
    const std::size_t start = lines_[line - 1].start;
    return position(std::min(start + std::max(column, 1u) - 1, end));
}

}  // namespace vtlsim::runner
