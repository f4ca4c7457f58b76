#include "runner/trace/world_recorder.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "model/fields.hpp"
#include "model/vtl2/layout.hpp"
#include "model/vtl2/vtl2_kernel.hpp"
#include "model/wire/pages.hpp"
#include "runner/explore/replay.hpp"
#include "runner/explore/run_schedule.hpp"
#include "runner/explore/world_subject.hpp"
#include "runner/format.hpp"
#include "runner/run.hpp"
#include "runner/trace/listing.hpp"
#include "runner/trace/world_layout.hpp"
#include "sim/decode/data_flow.hpp"

namespace vtlsim::runner::trace {
namespace {

using model::EventKind;
using sim::Reg;

constexpr u64 kWideWrite = 64;  // bytes; of wider ones only what changes is written down

std::string hex_bytes(std::span<const u8> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (u8 b : bytes) {
        out += kDigits[b >> 4];
        out += kDigits[b & 15];
    }
    return out;
}

// The last part of a field's name is the register that it holds a copy of, if it is one's name.
std::optional<Reg> register_in(const std::string& field) {
    const std::size_t dot = field.rfind('.');
    const sim::RegInfo* row =
        sim::find_register(dot == std::string::npos ? field : field.substr(dot + 1));
    return row == nullptr ? std::nullopt : std::optional(row->reg);
}

Item item_of(const model::Event& e, const model::World& world, const WorldLayout& layout,
             u32 turn) {
    return {.step = e.step,
            .kind = static_cast<u16>(e.kind),
            .lane = layout.lane(e.lane, e.vp),
            .vp = e.vp,
            .vtl = e.vtl,
            .rip = e.rip,
            .text = detail_text(world.log(), e),
            .turn = turn};
}

class Recorder : public model::Witness {
  public:
    Recorder(model::World& world, Recording& out, bool values)
        : world_(world),
          config_(world.config()),
          out_(out),
          layout_(config_, out),
          values_(values) {
        world_.set_witness(this);
        if (!values_) return;
        for (unsigned vp = 0; vp < config_.vp_count(); ++vp) {
            for (std::size_t copy = 0; copy < WorldLayout::kCopies; ++copy) {
                known_.push_back(state_of(vp, copy));
            }
        }
        for (Cell& cell : out_.cells) cell.initial = known_[cell.bank].get(reg_of(cell));
        for (const Region& region : out_.regions) {
            std::vector<u8> bytes(region.size);
            world_.read_memory(region.address, bytes);
            if (std::any_of(bytes.begin(), bytes.end(), [](u8 b) { return b != 0; })) {
                out_.initial_memory.push_back({.memory = true,
                                               .where = region.address,
                                               .size = region.size,
                                               .value = {},
                                               .bytes = hex_bytes(bytes),
                                               .sources = {}});
            }
        }
        world_.memory().for_each_page([&](u64 page, const u8* bytes) {
            std::copy_n(bytes, sim::kPageSize, memory_[page].begin());
        });
    }
    ~Recorder() override { world_.set_witness(nullptr); }
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    void before_step() override { finish_step(); }

    void logged(const model::Event& event) override {
        if (!values_) {
            add_item(event);
            return;
        }
        const bool part = event.kind == EventKind::store;  // of the instruction, still executing
        if (!part && !step_items_.empty()) {
            // The instruction left for somebody else: what its operands say has not happened.
            pending_ = {};
            add_item(event);
            sample(last_item(), &event, true);
        } else {
            add_item(event);
        }
        if (!part) step_items_.push_back(last_item());
        if (event.kind == EventKind::insn) begin_instruction(event);
        if (event.kind == EventKind::device_read) device_item_ = last_item();
    }

    // --- turns -----------------------------------------------------------------------------------

    struct Waiting {
        std::string actor, step;
    };
    // Before a turn: what everybody's next step is, but for VPs' (only doing it would tell).
    void before_turn(std::span<const model::ActorId> enabled, model::ActorId by_default) {
        finish_step();
        names_.clear();
        for (model::ActorId id : enabled) {
            const model::Actor& actor = world_.actors()[id];
            names_[id] = actor.kind == model::ActorKind::vp ? "" : world_.step_name(id);
        }
        by_default_ = by_default;
        out_.turns.push_back({"", "", static_cast<u32>(out_.items.size())});
    }
    void after_turn() {
        const model::ActorId id = world_.acted();
        const model::Actor& actor = world_.actors()[id];
        Turn& turn = out_.turns.back();
        turn.actor = actor.name;
        turn.step = names_[id];
        if (turn.item == out_.items.size()) add_turn_item(actor);
        finish_step();
        if (values_) look_everywhere(last_item(), actor);
        note_order(id);
    }
    void finish() { finish_step(); }
    bool full() const { return values_ && out_.items.size() > kMaxItems; }

  private:
    static Reg reg_of(const Cell& cell) { return sim::find_register(cell.name)->reg; }
    u32 last_item() const { return static_cast<u32>(out_.items.size() - 1); }

    sim::CpuState state_of(unsigned vp, std::size_t copy) const {
        if (copy == WorldLayout::kCpu) return world_.cpu_state(vp);
        return *world_.banks(vp).states()[WorldLayout::kStateOf[copy]];
    }

    void add_item(const model::Event& e) {
        out_.items.push_back(item_of(e, world_, layout_, static_cast<u32>(out_.turns.size() - 1)));
