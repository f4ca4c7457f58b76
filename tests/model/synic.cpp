// Intercepts as SynIC messages: SINT0's slot, the queue behind it, EOM (TLFS: SynIC messages).
#include "model/hyperv/hypervisor.hpp"
#include "model/hyperv/names.hpp"
#include "tests/catch.hpp"
#include "tests/model/world_rig.hpp"

namespace vtlsim::tests {
namespace {

using namespace model;
using sim::Reg;

constexpr u64 kSlot = layout::kSimpPage;
constexpr u8 kSint0Vector = 0xF3;

WorldConfig with_synic() {
    WorldConfig config;
    config.switches.intercept_delivery = InterceptDelivery::synic_message;
    return config;
}

// A hypervisor with one VP and a VTL2 that does what the test says.
struct Bench {
    WorldConfig config = with_synic();
    Board board{config};
    SidecarDriver driver{board};
    Invariants invariants{board};
    Hypervisor hypervisor{board, driver, invariants};

    Bench() {
        board.cpu().set_state(sim::long_mode_state());
        hypervisor.banks().saved(kVtl0) = sim::long_mode_state();
        wrmsr(msr::kVpAssistPage, layout::kAssistPage | 1);
    }
    void wrmsr(u32 number, u64 value) {
        sim::Exit exit{};
        exit.kind = sim::ExitKind::wrmsr;
        exit.length = 2;
        exit.msr = number;
        exit.value = value;
        hypervisor.on_exit(exit);
    }
    void enable() {
        wrmsr(msr::kSimp, kSlot | 1);
        wrmsr(msr::kSint0, kSint0Vector);
        wrmsr(msr::kScontrol, 1);
    }
    void vtl_return() {
        board.cpu().set(Reg::rcx, hv_call::kVtlReturn);
        board.cpu().set(Reg::rax, 0);
        sim::Exit exit{};
        exit.kind = sim::ExitKind::hypercall;
        exit.length = 3;
        hypervisor.on_exit(exit);
    }
    // SINT0's interrupt, taken and ended.
    void take_interrupt() {
        REQUIRE(hypervisor.deliverable() == kSint0Vector);
        CHECK(hypervisor.accept() == kSint0Vector);
        wrmsr(msr::kX2apicEoi, 0);
        CHECK(!hypervisor.deliverable());
    }
    // An end of interrupt of the guest's, by its vector.
    void intercept(u64 vector) {
        REQUIRE(board.vp().active_vtl == kVtl0);
        hypervisor.asynchronous_intercept(MessageType::apic_eoi, vector, false);
    }
    u32 type() const { return board.load<u32>(kSlot + offsetof(HvMessage, type)); }
    u8 flags() const { return board.load<u8>(kSlot + offsetof(HvMessage, flags)); }
    u32 vector() const { return board.load<HvApicEoi>(kSlot + kMessagePayload).vector; }
    void empty_slot() { board.store(kSlot + offsetof(HvMessage, type), u32{0}); }
};

constexpr u32 kEoiType = static_cast<u32>(MessageType::apic_eoi);

}  // namespace

TEST_CASE("SynIC: a message comes into SINT0's slot, by its interrupt", "[model][synic]") {
    Bench b;
    b.enable();
    b.vtl_return();
    b.intercept(0x31);
    CHECK(b.board.vp().active_vtl == kVtl2);
    CHECK(b.board.load<u32>(layout::kAssistPage + offsetof(HvVpAssistPage, entry_reason)) == 2);
    CHECK(b.board.load<u32>(layout::kAssistPage + offsetof(HvVpAssistPage, message)) == 0);
    CHECK(b.type() == kEoiType);
    CHECK(b.flags() == 0);
    CHECK(b.vector() == 0x31);
    b.take_interrupt();
}

TEST_CASE("SynIC: messages wait behind an occupied slot, and EOM brings the next",
          "[model][synic]") {
    Bench b;
    b.enable();
    for (u64 vector = 1; vector <= 3; ++vector) {
        b.vtl_return();
        b.intercept(vector);
        CHECK(b.board.vp().active_vtl == kVtl2);
        if (vector == 1) b.take_interrupt();
        CHECK(!b.hypervisor.deliverable());  // no interrupt for one that waits
    }
    CHECK(b.vector() == 1);
    CHECK(b.flags() == 1);  // more are pending
    b.wrmsr(msr::kEom, 0);  // the slot is not empty: nothing
    CHECK(b.vector() == 1);
    CHECK(b.flags() == 1);
    b.empty_slot();
    CHECK(!b.hypervisor.deliverable());  // only EOM has the hypervisor look
    b.wrmsr(msr::kEom, 0);
    CHECK(b.type() == kEoiType);
    CHECK(b.vector() == 2);
    CHECK(b.flags() == 1);
    b.take_interrupt();
    b.empty_slot();
    b.wrmsr(msr::kEom, 0);
    CHECK(b.vector() == 3);
    CHECK(b.flags() == 0);
    b.take_interrupt();
    b.empty_slot();
    b.wrmsr(msr::kEom, 0);
    CHECK(b.type() == 0);
    CHECK(!b.hypervisor.deliverable());
    CHECK(b.board.end == EndReason::none);
}

TEST_CASE("SynIC: one that waits comes before a newer one", "[model][synic]") {
    Bench b;
    b.enable();
    for (u64 vector = 1; vector <= 2; ++vector) {
        b.vtl_return();
        b.intercept(vector);
        if (vector == 1) b.take_interrupt();
    }
    b.empty_slot();  // and no EOM
    b.vtl_return();
    b.intercept(3);
    CHECK(b.type() == 0);
    b.wrmsr(msr::kEom, 0);
    CHECK(b.vector() == 2);
}

TEST_CASE("SynIC: what is not modelled is loud", "[model][synic]") {
    Bench off;
    off.vtl_return();
    off.intercept(1);
    CHECK(off.board.end == EndReason::not_modelled);

    Bench masked;
    masked.enable();
    masked.wrmsr(msr::kSint0, 1 << 16 | kSint0Vector);
    masked.vtl_return();
    masked.intercept(1);
    CHECK(masked.board.end == EndReason::not_modelled);

    Bench auto_eoi;
    auto_eoi.wrmsr(msr::kSint0, 1 << 17 | kSint0Vector);
    CHECK(auto_eoi.board.end == EndReason::not_modelled);

    Bench elsewhere;
    elsewhere.wrmsr(msr::kSimp, (kSlot + 0x1000) | 1);
    CHECK(elsewhere.board.end == EndReason::not_modelled);

    Bench full;
    full.enable();
    for (u64 i = 0; i <= SynIc::kQueue; ++i) {
        full.vtl_return();
        full.intercept(i);
        if (i == 0) full.take_interrupt();
        CHECK(full.board.end == EndReason::none);
    }
    full.vtl_return();
    full.intercept(99);
    CHECK(full.board.end == EndReason::not_modelled);
}

}  // namespace vtlsim::tests
