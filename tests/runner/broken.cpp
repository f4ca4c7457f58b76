// Files that are wrong, each with all that is said about it (tests/broken).
// Run: build/<preset>/vtlsim_tests "[broken]"; VTLSIM_BLESS=1 writes the messages anew.
#include <algorithm>
#include <filesystem>

#include "runner/load.hpp"
#include "tests/catch.hpp"
#include "tests/golden/golden.hpp"

namespace vtlsim::runner {
namespace {

TEST_CASE("Every broken file gets its messages, with line and column", "[broken][golden]") {
    namespace fs = std::filesystem;
    const std::string root = std::string(VTLSIM_SOURCE_DIR) + "/";
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(root + "tests/broken")) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".json") && !is_fragment(name)) files.push_back(name);
    }
    CHECK(files.size() >= 30);
    std::sort(files.begin(), files.end());
    for (const std::string& name : files) {
        INFO(name);
        const std::string path = "tests/broken/" + name;
        Diagnostics diagnostics;
        CHECK_FALSE(load_scenario(root + path, diagnostics));
        std::string text = diagnostics.to_string();
        // The folder that the tests run in does not matter.
        for (std::size_t at = text.find(root); at != std::string::npos; at = text.find(root)) {
            text.erase(at, root.size());
        }
        CHECK(!text.empty());
        const std::string golden = path.substr(0, path.size() - 5) + ".expected";
        const std::string diff = tests::golden_diff(golden, text);
        INFO(diff);
        CHECK(diff.empty());
    }
}

}  // namespace
}  // namespace vtlsim::runner
