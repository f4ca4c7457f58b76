// The lessons of docs/lessons, as the build has put them into the program.
#pragma once

#include <span>
#include <string_view>

namespace vtlsim::cli {

struct Lesson {
    std::string_view name;  // "1-what-a-vtl-is": the file's, without .md
    std::string_view text;
};
extern const std::span<const Lesson> lessons;

}  // namespace vtlsim::cli
