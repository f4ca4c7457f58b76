#include "model/hyperv/apic.hpp"

#include "tests/catch.hpp"

namespace vtlsim::tests {

using model::Apic;

TEST_CASE("apic: the highest requested vector comes first", "[model]") {
    Apic apic;
    CHECK_FALSE(apic.deliverable(0));
    for (u8 v : {u8{0x31}, u8{0xF0}, u8{0x7F}, u8{0x80}}) apic.request(v);
    for (u8 v : {u8{0xF0}, u8{0x80}, u8{0x7F}, u8{0x31}}) {
        REQUIRE(apic.deliverable(0) == v);
        apic.accept(v);
        CHECK(apic.end_of_interrupt() == v);
    }
    CHECK_FALSE(apic.deliverable(0));
}

TEST_CASE("apic: every vector of every class can be taken; those of class 0 never", "[model]") {
    for (unsigned v = 0; v < 256; ++v) {
        Apic apic;
        apic.request(static_cast<u8>(v));
        CAPTURE(v);
        CHECK(apic.deliverable(0).has_value() == (v >= 16));
    }
}

TEST_CASE("apic: CR8 masks its own class and those below", "[model]") {
    for (unsigned v = 16; v < 256; ++v) {
        Apic apic;
        apic.request(static_cast<u8>(v));
        for (unsigned cr8 = 0; cr8 < 16; ++cr8) {
            CAPTURE(v, cr8);
            CHECK(apic.deliverable(cr8).has_value() == (v / 16 > cr8));
        }
    }
}

TEST_CASE("apic: what is in service holds back its class until EOI", "[model]") {
    Apic apic;
    apic.request(0x41);
    apic.accept(0x41);
    CHECK_FALSE(apic.deliverable(0));  // no longer requested
    apic.request(0x4F);                // same class
    CHECK_FALSE(apic.deliverable(0));
    apic.request(0x30);
    CHECK_FALSE(apic.deliverable(0));
    apic.request(0x50);  // a higher class nests
    CHECK(apic.deliverable(0) == u8{0x50});
    CHECK_FALSE(apic.deliverable(5));
    apic.accept(0x50);
    CHECK_FALSE(apic.deliverable(0));
    CHECK(apic.end_of_interrupt() == u8{0x50});
    CHECK_FALSE(apic.deliverable(0));  // 41h still in service
    CHECK(apic.end_of_interrupt() == u8{0x41});
    CHECK(apic.deliverable(0) == u8{0x4F});
    CHECK_FALSE(apic.deliverable(4));  // the higher of CR8 and what is in service counts
    apic.accept(0x4F);
    CHECK(apic.end_of_interrupt() == u8{0x4F});
    CHECK(apic.deliverable(0) == u8{0x30});
    apic.accept(0x30);
    CHECK(apic.end_of_interrupt() == u8{0x30});
    CHECK_FALSE(apic.end_of_interrupt());
}

TEST_CASE("apic: a vector requested again while in service waits for its EOI", "[model]") {
    Apic apic;
    apic.request(0x20);
    apic.accept(0x20);
    apic.request(0x20);
    apic.request(0x20);  // edges merge
    CHECK_FALSE(apic.deliverable(0));
    apic.end_of_interrupt();
    CHECK(apic.deliverable(0) == u8{0x20});
    apic.accept(0x20);
    apic.end_of_interrupt();
    CHECK_FALSE(apic.deliverable(0));
}

}  // namespace vtlsim::tests
