// A world as a value: snapshots and fingerprints.
#define XXH_INLINE_ALL
#include <algorithm>
#include <cstring>

#include <xxhash.h>

#include "model/world.hpp"

namespace vtlsim::model {

struct World::Snapshot {
    sim::Memory memory;
    std::vector<Vp::State> vps;
    EventLog log;
    u64 step;
    unsigned at;
    EndReason end;
    StoreBuffers::State buffers;
    std::vector<Hypervisor::State> hypervisors;
    SidecarDriver::State driver;
    Devices::State devices;
    std::vector<Vmm::State> vmms;
    Invariants::State invariants;
    std::vector<Pin> pins;
    int last;
    u64 turns;
    std::size_t schedule_at;
    std::string schedule_problem;
    StepCounts steps_made;
    std::vector<Violation> all_violations;
    std::vector<u64> plugin_states;
};

u64 World::snapshot_bytes() const {
    u64 bytes = sizeof(Snapshot);
    bytes +=
        board_.vps.size() * (sizeof(Vp::State) + sizeof(Hypervisor::State) + sizeof(Vmm::State));
    board_.machine.memory().for_each_difference(
        saved_memory_, [&](u64, const u8*, const u8*) { bytes += sim::kPageSize; });
    return bytes;
}

std::shared_ptr<const World::Snapshot> World::snapshot() {
    saved_memory_ = board_.machine.snapshot_memory();
    std::vector<Vp::State> vps;
    std::vector<Hypervisor::State> hypervisors;
    std::vector<Vmm::State> vmms;
    for (std::size_t i = 0; i < board_.vps.size(); ++i) {
        vps.push_back({board_.vps[i].cpu.state(), board_.vps[i].active_vtl});
        hypervisors.push_back(hypervisors_[i]->state());
        vmms.push_back(vmms_[i]->state());
    }
    return std::make_shared<Snapshot>(Snapshot{saved_memory_,
                                               std::move(vps),
                                               board_.log,
                                               board_.step,
                                               board_.at,
                                               board_.end,
                                               board_.buffers.state(),
                                               std::move(hypervisors),
                                               driver_.state(),
                                               devices_.state(),
                                               std::move(vmms),
                                               invariants_.state(),
                                               pins_,
                                               last_,
                                               turns_,
                                               schedule_at_,
                                               schedule_problem_,
                                               steps_made_,
                                               all_violations_,
                                               board_.plugin_states});
}

void World::restore(const Snapshot& s) {
    board_.machine.set_memory(s.memory);
    saved_memory_ = s.memory;
    for (std::size_t i = 0; i < s.vps.size(); ++i) {
        board_.vps[i].cpu.set_state(s.vps[i].cpu);
        board_.vps[i].cpu.set_address_space(s.vps[i].active_vtl);
        board_.vps[i].active_vtl = s.vps[i].active_vtl;
        hypervisors_[i]->set_state(s.hypervisors[i]);
        vmms_[i]->set_state(s.vmms[i]);
    }
    board_.log = s.log;
    board_.step = s.step;
    board_.at = s.at;
    board_.end = s.end;
    board_.buffers.set_state(s.buffers);
    driver_.set_state(s.driver);
    devices_.set_state(s.devices);
    invariants_.set_state(s.invariants);
    pins_ = s.pins;
    last_ = s.last;
    turns_ = s.turns;
    schedule_at_ = s.schedule_at;
    schedule_problem_ = s.schedule_problem;
    steps_made_ = s.steps_made;
    all_violations_ = s.all_violations;
    board_.plugin_states = s.plugin_states;
}

// --- fingerprints -------------------------------------------------------------------------------

namespace {

using Words = std::array<u64, 2>;

Words hash_of(const void* bytes, std::size_t size, u64 seed) {
    const XXH128_hash_t h = XXH3_128bits_withSeed(bytes, size, seed);
    return {h.low64, h.high64};
}

// A page of zeros counts as no page.
Words page_hash(u64 number, const u8* bytes) {
    if (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, sim::kPageSize - 1) == 0) return {};
    return hash_of(bytes, sim::kPageSize, number + 1);
}

class Mixer {
  public:
    Mixer() { XXH3_128bits_reset(&state_); }
    template <class T>
    void add(const T& value) {
        static_assert(std::has_unique_object_representations_v<T>);
        XXH3_128bits_update(&state_, &value, sizeof(T));
    }
    void add_bytes(std::span<const u8> bytes) {
        add(u64{bytes.size()});
        XXH3_128bits_update(&state_, bytes.data(), bytes.size());
    }
    void add(const sim::CpuState& s, bool time) {
        CpuScalars scalar = s.scalar;
        if (!time) scalar[sim::index_of(sim::Reg::tsc)] = 0;
        XXH3_128bits_update(&state_, scalar.data(), sizeof(scalar));
        XXH3_128bits_update(&state_, s.vector.data(), sizeof(s.vector));
    }
    Words digest() const {
        const XXH128_hash_t h = XXH3_128bits_digest(&state_);
        return {h.low64, h.high64};
    }

  private:
    using CpuScalars = decltype(sim::CpuState::scalar);
    XXH3_state_t state_;
};

// Whether the bytes hold RDTSC, RDTSCP or RDMSR: the time-stamp counter, which counts steps, then
// is a part of the state. Code that the guest makes at run time is not seen.
bool may_read_time(std::span<const u8> code) {
    for (std::size_t i = 0; i + 1 < code.size(); ++i) {
        if (code[i] != 0x0F) continue;
        if (code[i + 1] == 0x31 || code[i + 1] == 0x32) return true;
        if (i + 2 < code.size() && code[i + 1] == 0x01 && code[i + 2] == 0xF9) return true;
    }
    return false;
}

}  // namespace

std::array<u64, 2> World::fingerprint() {
    sim::Memory now = board_.machine.snapshot_memory();
    now.for_each_difference(hashed_memory_, [&](u64 number, const u8* before, const u8* after) {
        const Words was = page_hash(number, before);
        const Words is = page_hash(number, after);
        for (std::size_t i = 0; i < 2; ++i) memory_hash_[i] ^= was[i] ^ is[i];
    });
    hashed_memory_ = std::move(now);
    const auto& images = board_.config.memory;
    const bool time = std::any_of(images.begin(), images.end(), [](const MemoryImage& image) {
        return may_read_time(image.bytes);
    });
    Mixer m;
    m.add(memory_hash_);
    m.add(board_.end);
    for (u64 state : board_.plugin_states) m.add(state);
    for (std::size_t i = 0; i < board_.vps.size(); ++i) {
        m.add(board_.vps[i].active_vtl);
        m.add(board_.vps[i].cpu.state(), time);
        const Hypervisor::State& h = hypervisors_[i]->state();
        for (const sim::CpuState* s : h.banks.states()) m.add(*s, time);
        m.add(h.banks.flags());
        for (const Apic& apic : h.apic) m.add(apic);
        m.add(h.assist_page_enabled);
        m.add(h.register_page_mapped);
        m.add(h.with_exit);
        m.add(h.with_exit_transient);
        for (bool b : {h.synic.enabled, h.synic.has_page, h.synic.masked}) m.add(b);
        m.add(h.synic.vector);
        for (const SynIc::Posted& posted : h.synic.queue) m.add(posted.message);
        m.add(h.pending_event);
        const Vmm::State& v = vmms_[i]->state();
        m.add(v.phase);
        m.add(v.sync);
        m.add(v.next_rip);
        m.add(v.next_rflags);
        m.add(v.next_rsp);
        m.add(v.emulated);
        m.add(v.event);
        const Vmm::Emulation& e = v.emulation;
        for (u64 word : {e.gva_page, e.gpa_page, e.wanted}) m.add(word);
        for (const Vec128& value : e.read) m.add(value);
        m.add(e.code);
        m.add(e.elements);
        for (u8 byte : {e.reads, e.code_size}) m.add(byte);
        for (Vmm::GvaMode mode : {e.known, e.asked}) m.add(mode);
        m.add(e.event_follows);
        for (bool b : {v.signal, v.stop_wanted, v.stopping, v.leaving, v.ext_int_done}) m.add(b);
        // Whether the VP leaves the sidecar after this exit hangs on whether it is the first.
        m.add(board_.config.hotplug && v.exits != 0);
        m.add(v.result);
        const Invariants::PerVp& inv = invariants_.state()[i];
        if (!board_.config.invariants.empty()) {
            m.add(inv.guest, time);
            m.add(inv.fresh);
            m.add(inv.exits_ahead);
            m.add(inv.accesses_ahead);
            m.add(inv.bounces);
            m.add(inv.string_io);
        }
    }
    const SidecarDriver::State& d = driver_.state();
    m.add(d.request_ipis);
    m.add(d.attention_ipis);
    m.add(d.attention_delay);
    m.add(d.isr);
    m.add(d.poll);
    for (bool b : {d.isr_again, d.poll_wake}) m.add(b);
    m.add(d.scan_vp);
    for (std::size_t i = 0; i < layout::kMaxVps; ++i) {
        m.add(d.finished[i]);
        m.add(d.sync_woken[i]);
    }
    for (const auto& buffer : board_.buffers.state()) {
        m.add(u64{buffer.size()});
        for (const BufferedStore& s : buffer) {
            m.add(s.address);
            m.add_bytes(s.bytes);
        }
    }
    for (const PortScript& port : board_.config.ports) m.add(devices_.position(port));
    for (const Uart16550::State& uart : devices_.state().uarts) m.add(uart);
    for (std::size_t i = 0; i < pins_.size(); ++i) {
        m.add(pins_[i].fired);
        m.add(pins_[i].fired ? u64{0} : pins_[i].started);
    }
    return m.digest();
}

}  // namespace vtlsim::model
