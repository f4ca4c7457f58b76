// Relations between values after a run: "context.rax == message.rax", "vtl0.rip == message.rip +
// 1".
#pragma once

#include <string>
#include <vector>

#include "runner/json/reader.hpp"

namespace vtlsim::model {
class World;
}

namespace vtlsim::runner {

struct ValueRelation {
    enum class Op : u8 { eq, ne, lt, le, gt, ge };
    // A path (model/fields.hpp) or, where that is empty, a number; `sign` is how it joins those
    // before it: '+', '-' or '&'.
    struct Term {
        char sign = '+';
        std::string path;
        u64 number = 0;
    };
    std::vector<Term> left;
    Op op = Op::eq;
    std::vector<Term> right;
    std::string text;  // as written
};

// A string; what is wrong with it is reported at its place within.
ValueRelation read_value_relation(const Node& node);

// Empty if it holds; else the values that were compared. Terms that are added are 64 bits wide and
// wrap; a path alone has all its bits.
std::string judge_relation(const model::World& world, const ValueRelation& relation);

}  // namespace vtlsim::runner
