// Choosing and running many scenarios, and finding where two runs differ.
// Run: build/<preset>/vtlsim_tests "[suite]"
#include "runner/suite.hpp"

#include <atomic>
#include <stdexcept>

#include "model/world.hpp"
#include "runner/determinism.hpp"
#include "runner/parallel.hpp"
#include "tests/catch.hpp"
#include "tests/runner/scenario_text.hpp"

namespace vtlsim::runner {
namespace {

TEST_CASE("A filter is a part of the text, or a pattern of all of it", "[suite]") {
    CHECK(matches_filter("crash-shadow", "shadow"));
    CHECK_FALSE(matches_filter("crash-shadow", "shadwo"));
    CHECK(matches_filter("crash-shadow", "c*-sh?dow"));
    CHECK_FALSE(matches_filter("crash-shadow", "shadow*"));
    CHECK(matches_filter("n[a=1,b=2]", "n[*b=2]"));
    CHECK(matches_filter("aaab", "*a*ab"));
    CHECK(matches_filter("", "*"));
    CHECK_FALSE(matches_filter("", "?"));
}

TEST_CASE("Shards are i/n", "[suite]") {
    REQUIRE(Shard::parse("2/5"));
    CHECK(Shard::parse("2/5")->index == 2);
    CHECK(Shard::parse("2/5")->count == 5);
    for (const char* bad :
         {"", "/", "0/5", "6/5", "1", "1/", "/2", "1/2/3", "1/2 ", "-1/2", "1/0"}) {
        CHECK_FALSE(Shard::parse(bad));
    }
}

TEST_CASE("Work is done once each, on any number of threads", "[suite]") {
    for (unsigned threads : {1u, 3u, 16u}) {
        std::vector<std::atomic<int>> done(100);
        parallel_for(done.size(), threads, [&](std::size_t i) {
            ++done[i];
            return true;
        });
        for (const auto& d : done) CHECK(d == 1);
        CHECK_THROWS_AS(parallel_for(9, threads,
                                     [](std::size_t i) -> bool {
                                         if (i == 4) throw std::runtime_error("no");
                                         return true;
                                     }),
                        std::runtime_error);
    }
    std::size_t last = 0;
    parallel_for(100, 1, [&](std::size_t i) {
        last = i;
        return i != 7;
    });
    CHECK(last == 7);
}

LogPrint print_of(std::size_t events, std::size_t changed) {
    model::EventLog log;
    for (std::size_t i = 0; i < events; ++i) {
        log.add({.step = i + 1, .rip = i == changed ? u64{1} : u64{0}});
    }
    return {log, std::to_string(log.hash())};
}

TEST_CASE("A run that differs is told with its step", "[suite]") {
    constexpr std::size_t kNone = ~std::size_t{0};
    CHECK_FALSE(difference_of(print_of(50, kNone), print_of(50, kNone)));
    const auto failure = difference_of(print_of(50, kNone), print_of(50, 16));
    REQUIRE(failure);
    CHECK(failure->step == 17);
    CHECK(failure->got.find("the first difference is in step 17") != std::string::npos);
    CHECK(difference_of(print_of(50, kNone), print_of(51, kNone))->step == 51);
    CHECK(difference_of(print_of(50, kNone), print_of(0, kNone)));

    // Of long logs only some beginnings are kept.
    const auto rough = difference_of(print_of(300'000, kNone), print_of(300'000, 200'000));
    REQUIRE(rough);
    const auto range = print_of(300'000, kNone).first_difference(print_of(300'000, 200'000));
    CHECK((range->first <= 200'001 && range->last >= 200'001 && range->last - range->first <= 16));
}

TEST_CASE("A known failure has to fail", "[suite]") {
    const auto status = [](const std::string& text) { return result_of(text).status; };
    CHECK(status(scenario(R"("xfail":"why")")) == Status::xpass);
    CHECK(status(R"({"name":"n","why":"w","source":"s","xfail":"why",
        "guest":{"code":{"asm":"hlt"}},"expect":{"end":"stuck"}})") == Status::xfail);
    // What is no verdict stays that.
    CHECK(status(R"({"name":"n","why":"w","source":"s","xfail":"why","limits":{"steps":10},
        "guest":{"code":{"asm":"hlt"}},"expect":{"end":"stuck"}})") == Status::limit);
    const Scenario some = loaded(scenario(
        R"("variants":{"switches":{"gpr_model":["shared","shadow"]}},
           "xfail":[{"reason":"theory","when":{"gpr_model":"shadow"}}])"));
    CHECK(some.variants[0].xfail.empty());
    CHECK(some.variants[1].xfail == "theory");
}

TEST_CASE("Variants can be left out", "[suite]") {
    const std::string start =
        R"("variants":{"switches":{"gpr_model":["shared","shadow"],"vmm_fix":["V0","V2"]},"exclude":)";
    CHECK(loaded(scenario(start + R"([{"gpr_model":"shared","vmm_fix":["V0","V2"]}]})"))
              .variants.size() == 2);
    CHECK(errors_of(scenario(start + R"([{"vmm_fix":"V1"}]})"))
              .find("no variant has these switches") != std::string::npos);
    CHECK(errors_of(scenario(start + R"([{"vmm_fix":["V0","V2"]}]})"))
              .find("every variant is excluded") != std::string::npos);
}

}  // namespace
}  // namespace vtlsim::runner
