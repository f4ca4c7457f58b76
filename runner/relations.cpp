#include "runner/relations.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>

#include <fmt/format.h>

#include "model/fields.hpp"
#include "model/world.hpp"
#include "runner/format.hpp"

namespace vtlsim::runner {
namespace {

constexpr std::string_view kOps[] = {"==", "!=", "<=", ">=", "<", ">"};
constexpr ValueRelation::Op kOpOf[] = {ValueRelation::Op::eq, ValueRelation::Op::ne,
                                       ValueRelation::Op::le, ValueRelation::Op::ge,
                                       ValueRelation::Op::lt, ValueRelation::Op::gt};

class Parser {
  public:
    explicit Parser(const Node& node) : node_(node), text_(node.string()) {}

    ValueRelation parse() {
        ValueRelation out;
        out.text = text_;
        out.left = side();
        if (failed_) return out;
        const auto* op = std::find_if(std::begin(kOps), std::end(kOps), [&](std::string_view o) {
            return text_.compare(at_, o.size(), o) == 0;
        });
        if (op == std::end(kOps)) {
            fail("expected one of ==, !=, <, <=, >, >=");
            return out;
        }
        out.op = kOpOf[op - std::begin(kOps)];
        at_ += op->size();
        out.right = side();
        if (!failed_ && at_ != text_.size()) fail("expected the end, or +, - or &");
        return out;
    }

  private:
    std::vector<ValueRelation::Term> side() {
        std::vector<ValueRelation::Term> terms;
        char sign = '+';
        do {
            terms.push_back(term(sign));
            blanks();
            sign = at_ < text_.size() ? text_[at_] : '\0';
        } while (!failed_ && (sign == '+' || sign == '-' || sign == '&') && ++at_ != 0);
        return terms;
    }

    ValueRelation::Term term(char sign) {
        blanks();
        const std::size_t start = at_;
        const auto part = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '_' || c == '.' || c == '[' || c == ']';
        };
        while (at_ < text_.size() && part(text_[at_])) ++at_;
        const std::string word = text_.substr(start, at_ - start);
        ValueRelation::Term out{sign, {}, 0};
        std::string why;
        if (word.empty()) {
            fail("expected a name as in \"state\", or a number");
        } else if (word[0] >= '0' && word[0] <= '9') {
            const bool hex = word.starts_with("0x");
            const char* end = word.data() + word.size();
            const auto [stop, error] =
                std::from_chars(word.data() + (hex ? 2 : 0), end, out.number, hex ? 16 : 10);
            if (error != std::errc() || stop != end) fail_at(start, "this is no number of 64 bits");
        } else if (model::known_path(word, why)) {
            out.path = word;
        } else {
            fail_at(start, why);
        }
        return out;
    }

    void blanks() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    void fail(std::string message) { fail_at(at_, std::move(message)); }
    void fail_at(std::size_t offset, std::string message) {
        if (!failed_ && node_.is_string()) {
            node_.error_at(node_.position_in_string(offset), std::move(message));
        }
        failed_ = true;
    }

    const Node& node_;
    const std::string& text_;
    std::size_t at_ = 0;
    bool failed_ = false;
};

std::optional<Vec128> value_of(const model::World& world,
                               const std::vector<ValueRelation::Term>& side) {
    if (side.size() == 1 && !side[0].path.empty()) return world.value(side[0].path);
    u64 sum = 0;
    for (const ValueRelation::Term& term : side) {
        std::optional<Vec128> value = Vec128{term.number, 0};
        if (!term.path.empty()) value = world.value(term.path);
        if (!value) return std::nullopt;
        sum = term.sign == '+'   ? sum + value->lo
              : term.sign == '-' ? sum - value->lo
                                 : sum & value->lo;
    }
    return Vec128{sum, 0};
}

bool holds(ValueRelation::Op op, const Vec128& left, const Vec128& right) {
    const auto l = std::tie(left.hi, left.lo);
    const auto r = std::tie(right.hi, right.lo);
    switch (op) {
        case ValueRelation::Op::eq:
            return l == r;
        case ValueRelation::Op::ne:
            return l != r;
        case ValueRelation::Op::lt:
            return l < r;
        case ValueRelation::Op::le:
            return l <= r;
        case ValueRelation::Op::gt:
            return l > r;
        case ValueRelation::Op::ge:
            return l >= r;
    }
    return false;
}

}  // namespace

ValueRelation read_value_relation(const Node& node) { return Parser(node).parse(); }

std::string judge_relation(const model::World& world, const ValueRelation& relation) {
    const auto left = value_of(world, relation.left);
    const auto right = value_of(world, relation.right);
    if (left && right && holds(relation.op, *left, *right)) return {};
    const auto text = [](const std::optional<Vec128>& value) {
        return value ? hex_text(*value) : "no value";
    };
    return fmt::format("{} and {}", text(left), text(right));
}

}  // namespace vtlsim::runner
