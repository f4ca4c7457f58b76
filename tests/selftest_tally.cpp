// Material for tests/scripts/tally.sh; hidden, so that it runs only when asked for.
#include "tests/catch.hpp"

TEST_CASE("tally: passes", "[.][tally]") { CHECK(true); }

TEST_CASE("tally: skipped", "[.][tally]") {
    VTLSIM_SKIP("always");
    CHECK(false);
}

TEST_CASE("tally: fails", "[.][tally][fails]") {
    CHECK(false);
    CHECK(false);
}

TEST_CASE("tally: fails before it is skipped", "[.][tally][fails]") {
    CHECK(false);
    VTLSIM_SKIP("never counted");
}

TEST_CASE("tally: asserts nothing", "[.][tally][fails]") {}
