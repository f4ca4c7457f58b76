// Expectations beyond single values: any order, counts, relations, what is not listed.
// Run: build/<preset>/vtlsim_tests "[expectations]"
#include "tests/catch.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

// A guest that reads 3FEh, 3FDh and 3FEh again, stores, and halts.
std::string reads(const std::string& expect) {
    return R"({"name":"n","why":"w","source":"s","guest":{"code":{"asm":["mov dx, 0x3FE",
        "first: in al, dx","dec edx","in al, dx","inc edx","in al, dx","mov [0x2000], al","hlt"]}},
        "devices":[{"port":"0x3FE","reads":["0xB0","0xB1"]},{"port":"0x3FD","reads":["0x60"]}],
        "expect":)" +
           expect + "}";
}
// The failures, one a line.
std::string failures(const std::string& expect) {
    std::string out;
    for (const Failure& f : result_of(reads(expect)).failures) {
        out += f.expectation + ": " + f.expected + " / " + f.got + "\n";
    }
    return out;
}
std::string log(const std::string& lines) { return R"({"log":[)" + lines + "]}"; }
std::string read_of(const std::string& port) {
    return R"({"event":"device-read","port":")" + port + R"("})";
}

TEST_CASE("Events in any order each need an event of their own", "[expectations]") {
    const std::string fe = read_of("0x3fe"), fd = read_of("0x3fd");
    const std::string any = R"({"event":"device-read"})";
    CHECK(failures(log(R"({"any_order":[)" + fd + "," + fe + "]}")).empty());
    // A pattern that fits all must leave the others theirs, whatever the order.
    CHECK(failures(log(R"({"any_order":[)" + any + "," + any + "," + fd + "]}")).empty());
    CHECK_FALSE(
        failures(log(R"({"any_order":[)" + any + "," + fe + "," + fe + "," + fd + "]}")).empty());
    CHECK_FALSE(failures(log(R"({"any_order":[)" + fd + "," + fd + "]}")).empty());
    // What follows is looked for behind the last of them: the second read of 3FEh is.
    CHECK(failures(log(R"({"any_order":[)" + fd + "," + fe + "]}," + fe)).empty());
    CHECK_FALSE(failures(log(R"({"any_order":[)" + fd + "," + fe + "]}," + fd)).empty());
}

TEST_CASE("Events are counted between the lines above and below", "[expectations]") {
    const auto count = [](const std::string& n, const std::string& what) {
        return R"({"count":)" + n + R"(,"of":)" + what + "}";
    };
    const std::string fe = read_of("0x3fe"), fd = read_of("0x3fd");
    CHECK(failures(log(count("2", fe))).empty());
    CHECK(failures(log(count("1", fe))) ==
          "count: device-read port=0x3fe: 1 / more: device-read port=0x3fe size=1 value=0xb1 "
          "claimed\n");
    CHECK(failures(log(count("3", fe))) == "count: device-read port=0x3fe: 3 / 2\n");
    CHECK(failures(log(count("1", fe) + "," + fd + "," + count("1", fe))).empty());
    CHECK(failures(log(count(R"({"min":2})", fe))).empty());
    CHECK(failures(log(count(R"({"min":3,"max":4})", fe))) ==
          "count: device-read port=0x3fe: 3 to 4 / 2\n");
    CHECK(failures(log(count(R"({"max":1})", fd))).empty());
    CHECK(errors_of(reads(log(count(R"({"min":3,"max":2})", fd)))).find("more than \"max\"") !=
          std::string::npos);
}

TEST_CASE("Relations compare values after the run", "[expectations]") {
    const auto relation = [](const std::string& text) {
        return R"({"relations":[")" + text + R"("]})";
    };
    for (const char* good :
         {"vtl0.rax == 0xb1", "vtl0.rip - 1 > message.rip", "vtl0.rdx & 0xff != 0xff",
          "vmm.exits >= 3", "vmm.exits < 4", "2 + 1 == vmm.exits", "vtl0.xmm1 == vtl0.xmm2",
          "message.rax <= context.rax"}) {
        INFO(good);
        CHECK(failures(relation(good)) == "");
    }
    CHECK(failures(relation("vmm.exits == 4")) == "vmm.exits == 4: holds / 0x3 and 0x4\n");
    CHECK(failures(relation("vmm.exits > 3")) == "vmm.exits > 3: holds / 0x3 and 0x3\n");
    const auto error = [&](const std::string& text) { return errors_of(reads(relation(text))); };
    CHECK(error("vmm.exist == 4").find("exits") != std::string::npos);
    CHECK(error("vmm.exits = 4").find("expected one of ==") != std::string::npos);
    CHECK(error("vmm.exits == ").find("expected a name") != std::string::npos);
    CHECK(error("vmm.exits == 0x1_").find("number of 64 bits") != std::string::npos);
    CHECK(error("vmm.exits == 1 2").find("expected the end") != std::string::npos);
}

TEST_CASE("What is not listed has to be unchanged", "[expectations]") {
    const std::string all = failures(R"({"unlisted":"unchanged"})");
    INFO(all);
    CHECK(
        all.starts_with("vtl0.rax: 0x0 (unchanged) / 0xb1\n"
                        "vtl0.rdx: 0x0 (unchanged) / 0x3fe\n"));
    CHECK(all.ends_with("memory at 0x2000: 00 (unchanged) / b1\n"));
    CHECK(failures(R"({"unlisted":"unchanged","state":{"vtl0.rax":"0xb1"},
        "relations":["vtl0.rdx == 0x3fe","vp0.vtl0.rflags != 0"],
        "memory":[{"at":"0x2000","bytes":"b1"}]})") == "");
    CHECK(failures(R"({"unlisted":"unchanged","state":{"vtl0.rax":"0xb1"},
        "relations":["vtl0.rdx == 0x3fe","vtl0.rflags != 0"]})") ==
          "memory at 0x2000: 00 (unchanged) / b1\n");
}

}  // namespace
}  // namespace vtlsim::runner
