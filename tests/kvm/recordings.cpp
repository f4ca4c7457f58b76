#include <algorithm>
#include <filesystem>

#include "runner/conform_kvm/compare.hpp"
#include "runner/conform_kvm/conform_kvm.hpp"
#include "tests/catch.hpp"

using namespace vtlsim::runner;
using namespace vtlsim::runner::conform_kvm;

namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(VTLSIM_SOURCE_DIR) / "tests/kvm/recordings";

std::vector<std::string> recordings() {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
        if (entry.path().extension() == ".json") out.push_back(entry.path().string());
    }
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

TEST_CASE("The model does what a real KVM was recorded to do", "[kvm][recording]") {
    REQUIRE(!recordings().empty());
    for (const std::string& file : recordings()) {
        Diagnostics diagnostics;
        const auto recording = load_recording(file, diagnostics);
        INFO(file << "\n" << diagnostics.to_string());
        REQUIRE(recording);
        REQUIRE(!recording->cases.empty());
        for (const RecordedCase& c : recording->cases) {
            INFO(c.name);
            CHECK(check_recorded(recording->facts, c).value_or("") == "");
        }
        // Written again it is the same: nothing is lost on the way in or out.
        const auto again = parse_recording(recording_text(*recording), file, diagnostics);
        REQUIRE(again);
        CHECK(recording_text(*again) == recording_text(*recording));
    }
}

TEST_CASE("A recording that does not fit the model is a difference", "[kvm][recording]") {
    Diagnostics diagnostics;
    auto recording = load_recording(recordings().front(), diagnostics);
    REQUIRE(recording);
    RecordedCase& c = recording->cases.front();
    REQUIRE(!c.transcript.observations.empty());
    c.transcript.observations.back().registers[vtlsim::sim::Reg::rip] += 1;
    CHECK(check_recorded(recording->facts, c));
}

TEST_CASE("Bad recordings are told so", "[kvm][recording]") {
    for (const char* text : {"", "{", "{}", R"({"format":"x","version":1,"kvm":{},"cases":[]})",
                             R"({"format":"vtlsim-kvm-recording","version":2})"}) {
        Diagnostics diagnostics;
        CHECK(!parse_recording(text, "bad.json", diagnostics));
        CHECK(!diagnostics.empty());
    }
}
