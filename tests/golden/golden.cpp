#include "tests/golden/golden.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

#include "runner/text_diff.hpp"
#include "tests/catch.hpp"

namespace vtlsim::tests {

using runner::text_diff;

namespace {

std::string full_path(const std::string& path) { return VTLSIM_SOURCE_DIR "/" + path; }

bool is_set(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0';
}

bool blessing() {
    const char* value = std::getenv("VTLSIM_BLESS");
    if (value == nullptr || std::string_view(value) != "1") return false;
    if (is_set("CI")) throw std::runtime_error("VTLSIM_BLESS is not for CI: bless and commit");
    return true;
}

void write(const std::string& path, const std::string& text) {
    std::ofstream file(full_path(path), std::ios::binary);
    file << text;
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace

std::string source_file(const std::string& path) {
    std::ifstream file(full_path(path), std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string golden_diff(const std::string& path, const std::string& actual) {
    if (blessing()) {
        write(path, actual);
        return {};
    }
    const std::string diff = text_diff(source_file(path), actual);
    return diff.empty()
               ? diff
               : fmt::format("--- {}\n+++ as it is now (VTLSIM_BLESS=1 writes it)\n{}", path, diff);
}

std::string golden_part_diff(const std::string& path, std::string_view name,
                             const std::string& actual) {
    const std::string text = source_file(path);
    const std::string mark = fmt::format("<!-- {} -->\n", name);
    const std::size_t start = text.find(mark);
    const std::size_t end = text.find("<!-- end -->", start);
    if (start == std::string::npos || end == std::string::npos) {
        return fmt::format("{} has no part {}", path, name);
    }
    return golden_diff(path, text.substr(0, start + mark.size()) + actual + text.substr(end));
}

TEST_CASE("A difference reads like a unified diff", "[golden]") {
    CHECK(text_diff("a\nb\n", "a\nb\n").empty());
    CHECK(text_diff("1\n2\n3\n4\nold\n5\n6\n7\n8\n", "1\n2\n3\n4\nnew\nmore\n5\n6\n7\n8\n") ==
          "@@ -5,1 +5,2 @@\n 2\n 3\n 4\n-old\n+new\n+more\n 5\n 6\n 7\n");
    CHECK(text_diff("a\n", "a") == "@@ -2,0 +2,0 @@\n a\n(only the newline at the end differs)\n");
    CHECK(text_diff("", "a\n") == "@@ -1,0 +1,1 @@\n+a\n");
}

}  // namespace vtlsim::tests
