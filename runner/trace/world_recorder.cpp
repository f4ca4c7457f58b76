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
    }

    // A step that leaves no event: a load, mostly.
    void add_turn_item(const model::Actor& actor) {
        const bool of_vp = actor.kind == model::ActorKind::vmm ||
                           actor.kind == model::ActorKind::spawn ||
                           actor.kind == model::ActorKind::vp;
        const auto vp = static_cast<u8>(of_vp ? actor.index : 0);
        const model::Lane lane = actor.kind == model::ActorKind::vp    ? model::Lane::vtl2
                                 : actor.kind == model::ActorKind::vmm ? model::Lane::vmm
                                                                       : model::Lane::driver;
        Item item{.step = world_.steps(),
                  .kind = layout_.turn_kind(),
                  .lane = layout_.lane(lane, vp),
                  .vp = vp,
                  .vtl = world_.active_vtl(vp),
                  .rip = world_.cpu_state(vp)[Reg::rip],
                  .text = fmt::format("{}: {}", out_.turns.back().actor, out_.turns.back().step),
                  .turn = static_cast<u32>(out_.turns.size() - 1)};
        out_.items.push_back(std::move(item));
        step_items_.push_back(last_item());
    }

    // --- instructions ----------------------------------------------------------------------------

    void begin_instruction(const model::Event& event) {
        std::array<u8, 16> code{};
        std::memcpy(code.data(), event.args.data(), code.size());
        const sim::CpuState& state = known_[layout_.bank(event.vp, WorldLayout::kCpu)];
        sim::CpuState now = state;
        now.set(Reg::rip, {event.rip, 0});
        pending_ = sim::data_flow(now, std::span(code).first(std::min<u64>(event.args[2], 15)));
        pending_vp_ = event.vp;
        if (state[Reg::identity_map] == 0) to_physical(pending_.moves);
    }

    // By the guest's own page tables; what is not mapped faults, and moves nothing.
    void to_physical(std::vector<sim::DataMove>& moves) const {
        std::vector<sim::DataMove> out;
        for (const sim::DataMove& move : moves) {
            std::vector<sim::DataPlace> from;
            for (const sim::DataPlace& p : move.from) append_physical(p, from);
            std::vector<sim::DataPlace> to;
            append_physical(move.to, to);
            for (const sim::DataPlace& p : to) out.push_back({p, from});
        }
        moves = std::move(out);
    }
    void append_physical(const sim::DataPlace& place, std::vector<sim::DataPlace>& out) const {
        if (!place.memory) {
            out.push_back(place);
            return;
        }
        for (u64 done = 0; done < place.size;) {
            const u64 linear = place.address + done;
            const u64 part =
                std::min(place.size - done, sim::kPageSize - (linear & sim::kPageMask));
            if (const auto at = world_.physical_of(pending_vp_, linear)) {
                out.push_back({true, place.reg, *at, part});
            }
            done += part;
        }
    }

    Source source_of(const sim::DataPlace& place) const {
        if (place.memory) return {Source::Kind::memory, place.address, place.size};
        return {Source::Kind::cell, layout_.cell(pending_vp_, WorldLayout::kCpu, place.reg), 0};
    }

    void write_moves(u32 item) {
        for (const sim::DataMove& move : pending_.moves) {
            std::vector<Source> sources;
            for (const sim::DataPlace& p : move.from) sources.push_back(source_of(p));
            if (move.to.memory && pending_.save_area) {
                write_fields(item, move.to.address, move.to.size);
            } else if (move.to.memory) {
                write_memory(item, move.to.address, move.to.size, sources, true);
            } else {
                const u32 cell = layout_.cell(pending_vp_, WorldLayout::kCpu, move.to.reg);
                write_cell(item, cell, std::move(sources), true);
            }
        }
        pending_ = {};
    }

    // --- what a step has done --------------------------------------------------------------------

    void finish_step() {
        if (step_items_.empty() || !values_) return;
        const u32 item = step_items_.back();
        write_moves(item);
        sample(item, nullptr, out_.items[item].kind != static_cast<u16>(EventKind::insn));
        step_items_.clear();
        device_item_.reset();
    }

    // Writes down every difference between what is known and what is.
    void sample(u32 item, const model::Event* event, bool pages) {
        const auto kind = static_cast<EventKind>(out_.items[item].kind);
        const unsigned vp = out_.items[item].vp;
        // The event of an entry comes behind the switch, that of a return before it.
        if ((kind == EventKind::vtl_enter && switched_ != item) ||
            (kind == EventKind::vtl_return && event == nullptr)) {
            switch_banks(item, vp, kind == EventKind::vtl_enter);
            switched_ = item;
        }
        for (std::size_t i = 0; i < known_.size(); ++i) {
            const sim::CpuState now =
                state_of(static_cast<unsigned>(i / WorldLayout::kCopies), i % WorldLayout::kCopies);
            if (now == known_[i]) continue;
            for (u32 cell : layout_.cells_of(i)) {
                if (!(known_[i].get(reg_of(out_.cells[cell])) ==
                      now.get(reg_of(out_.cells[cell])))) {
                    write_cell(item, cell, {}, false);
                }
            }
            known_[i] = now;
        }
        if (pages) {
            for (const Region& region : out_.regions) {
                look_at_page(item, region.address >> sim::kPageShift);
            }
        }
    }

    // A VTL switch: who gets what from where, for the registers that it moves. Those that do not
    // change are written too.
    void switch_banks(u32 item, unsigned vp, bool up) {
        const std::size_t own = up ? WorldLayout::kVtl0 : WorldLayout::kVtl2;
        const std::size_t other = up ? WorldLayout::kVtl2 : WorldLayout::kVtl0;
        const sim::CpuState before = known_[layout_.bank(vp, WorldLayout::kCpu)];
        const sim::CpuState now = world_.cpu_state(vp);
        const sim::CpuState captured = state_of(vp, WorldLayout::kCaptured);
        for (const sim::RegInfo& row : sim::registers()) {
            if (!layout_.has(vp, WorldLayout::kCpu, row.reg)) continue;
            const bool listed = row.group == sim::RegGroup::gpr ||
                                row.group == sim::RegGroup::instruction || row.reg == Reg::cr2;
            const bool moves = model::bank_of(row.reg, config_.switches) != model::Bank::shared;
            const u32 live = layout_.cell(vp, WorldLayout::kCpu, row.reg);
            const bool by_assist = !up && (row.reg == Reg::rax || row.reg == Reg::rcx);
            if (!moves) {
                // Of the registers that stay only these two travel, through the assist page; under
                // shadow_on_second_reentry VTL2 may get what was captured.
                if (by_assist) {
                    write_cell(item, live, {assist_register(vp, row.reg)}, true);
                } else if (!(before.get(row.reg) == now.get(row.reg)) &&
                           layout_.has(vp, WorldLayout::kCaptured, row.reg)) {
                    const bool stale = up && now.get(row.reg) == captured.get(row.reg);
                    write_cell(item, live,
                               {cell_source(vp, stale ? WorldLayout::kCaptured : other, row.reg)},
                               true);
                }
                continue;
            }
            if (!listed && before.get(row.reg) == now.get(row.reg)) continue;
            write_cell(item, layout_.cell(vp, own, row.reg),
                       {cell_source(vp, WorldLayout::kCpu, row.reg)}, true);
            write_cell(item, live,
                       {by_assist ? assist_register(vp, row.reg) : cell_source(vp, other, row.reg)},
                       true);
        }
    }
    Source cell_source(unsigned vp, std::size_t copy, Reg reg) const {
        return {Source::Kind::cell, layout_.cell(vp, copy, reg), 0};
    }
    static Source assist_register(unsigned vp, Reg reg) {
        return {Source::Kind::memory,
                model::layout::kAssistPage + vp * model::layout::kVpStride +
                    (reg == Reg::rax ? offsetof(model::HvVpAssistPage, register_rax)
                                     : offsetof(model::HvVpAssistPage, register_rcx)),
                8};
    }

    // Takes over the cell's value as it is now.
    void write_cell(u32 item, u32 cell, std::vector<Source> sources, bool even_if_same) {
        const Cell& c = out_.cells[cell];
        const Reg reg = reg_of(c);
        const Vec128 now =
            state_of(c.bank / WorldLayout::kCopies, c.bank % WorldLayout::kCopies).get(reg);
        const bool changed = !(known_[c.bank].get(reg) == now);
        if (!changed && !even_if_same) return;
        known_[c.bank].set(reg, now);
        out_.writes.push_back({.item = item,
                               .where = cell,
                               .value = now,
                               .bytes = {},
                               .changed = changed,
                               .sources = std::move(sources)});
    }

    // --- memory ----------------------------------------------------------------------------------

    std::array<u8, sim::kPageSize>& page(u64 number) { return memory_[number]; }

    void write_memory(u32 item, u64 address, u64 size, const std::vector<Source>& sources,
                      bool even_if_same) {
        std::vector<u8> now(size);
        world_.read_memory(address, now);
        bool changed = false;
        for (u64 i = 0; i < size; ++i) {
            u8& known = page((address + i) >> sim::kPageShift)[(address + i) & sim::kPageMask];
            changed = changed || known != now[i];
            known = now[i];
        }
        if (!changed && !even_if_same) return;
        out_.writes.push_back({.item = item,
                               .memory = true,
                               .where = address,
                               .size = size,
                               .value = {},
                               .bytes = changed || size <= kWideWrite ? hex_bytes(now) : "",
                               .changed = changed,
                               .sources = sources});
    }

    // Field by field, each from the register of its name.
    void write_fields(u32 item, u64 address, u64 size) {
        for (const WorldLayout::Leaf& leaf : layout_.leaves(address, size, world_)) {
            write_memory(item, leaf.address, leaf.size, copied_from(leaf.name), true);
        }
    }
    std::vector<Source> copied_from(const std::string& field) const {
        const auto reg = register_in(field);
        if (!reg) return {};
        return {
            {Source::Kind::cell, layout_.cell(out_.items.back().vp, WorldLayout::kCpu, *reg), 0}};
    }

    // Differences in a page, field by field where it has fields. What the hypervisor writes as a
    // message or a register page are copies of the guest's registers; a datum of a device ends in
    // the context.
    void look_at_page(u32 item, u64 number) {
        std::array<u8, sim::kPageSize> now;
        world_.read_memory(number << sim::kPageShift, now);
        std::array<u8, sim::kPageSize>& known = page(number);
        if (now == known) return;
        const auto kind = static_cast<EventKind>(out_.items[item].kind);
        const bool copies = kind == EventKind::message || kind == EventKind::regpage;
        u64 done = 0;  // bytes of the page that lie behind
        const u64 base = number << sim::kPageShift;
        for (const WorldLayout::Leaf& leaf : layout_.leaves(base, sim::kPageSize, world_)) {
            changed_bytes(item, base + done, leaf.address, now);
            const u64 at = leaf.address - base;
            done = std::max(done, at + leaf.size);
            if (std::equal(now.begin() + static_cast<i64>(at),
                           now.begin() + static_cast<i64>(at + leaf.size),
                           known.begin() + static_cast<i64>(at))) {
                continue;
            }
            if (leaf.size > 16) {
                changed_bytes(item, leaf.address, leaf.address + leaf.size, now);
                continue;
            }
            std::vector<Source> sources;
            if (copies) sources = copied_from(leaf.name);
            if (kind == EventKind::vmm_write && device_item_) {
                sources.push_back({Source::Kind::item, *device_item_, 0});
            }
            write_memory(item, leaf.address, leaf.size, sources, false);
        }
        changed_bytes(item, base + done, base + sim::kPageSize, now);
    }
    // Words of 8 bytes that differ, of a part of a page.
    void changed_bytes(u32 item, u64 from, u64 to, const std::array<u8, sim::kPageSize>& now) {
        for (u64 a = from; a < to;) {
            const u64 next = std::min(to, (a & ~u64{7}) + 8);
            const auto at = static_cast<i64>(a & sim::kPageMask);
            const auto size = static_cast<i64>(next - a);
            if (!std::equal(now.begin() + at, now.begin() + at + size,
                            page(a >> sim::kPageShift).begin() + at)) {
                write_memory(item, a, next - a, {}, false);
            }
            a = next;
        }
    }

    // Memory outside of the regions: what a turn has done to it beside instructions' operands.
    void look_everywhere(u32 item, const model::Actor& actor) {
        const bool delivers = std::any_of(
            out_.items.begin() + out_.turns.back().item, out_.items.end(), [](const Item& i) {
                const auto kind = static_cast<EventKind>(i.kind);
                return kind == EventKind::fault || kind == EventKind::interrupt_accepted;
            });
        if (actor.kind == model::ActorKind::vp && !delivers) return;
        world_.memory().for_each_page([&](u64 number, const u8* bytes) {
            if (std::memcmp(bytes, page(number).data(), sim::kPageSize) != 0) {
                look_at_page(item, number);
            }
        });
    }

    // --- who was overtaken -----------------------------------------------------------------------

    void note_order(model::ActorId id) {
        const Turn& turn = out_.turns.back();
        const auto overdue = overdue_.find(id);
        if (overdue != overdue_.end()) {
            std::string between;
            std::size_t others = 0;
            for (std::size_t t = overdue->second.turn; t + 1 < out_.turns.size(); ++t) {
                if (++others > 8) break;
                between += fmt::format("{}{} \"{}\" (step {})", between.empty() ? "" : ", ",
                                       out_.turns[t].actor, out_.turns[t].step,
                                       out_.items[out_.turns[t].item].step);
            }
            out_.notes.push_back(
                {turn.item, Note::Kind::order,
                 fmt::format("{}'s \"{}\" comes only now. It was due at step {} and was overtaken "
                             "by {}{}.",
                             turn.actor, overdue->second.step,
                             out_.items[out_.turns[overdue->second.turn].item].step, between,
                             others > 8 ? " and more" : "")});
            overdue_.erase(overdue);
        }
        if (id == by_default_ || overdue_.count(by_default_) != 0) return;
        const std::string& due = names_[by_default_];
        const std::string& actor = world_.actors()[by_default_].name;
        overdue_[by_default_] = {out_.turns.size() - 1, due.empty() ? "next step" : due};
        out_.notes.push_back(
            {turn.item, Note::Kind::order,
             fmt::format("{}'s \"{}\" overtakes {}{}.", turn.actor, turn.step, actor,
                         due.empty() ? "" : fmt::format("'s \"{}\"", due))});
    }

    model::World& world_;
    const model::WorldConfig& config_;
    Recording& out_;
    WorldLayout layout_;
    const bool values_;
    std::vector<sim::CpuState> known_;  // by bank
    std::map<u64, std::array<u8, sim::kPageSize>> memory_;
    std::vector<u32> step_items_;  // of the step at hand
    std::optional<u32> device_item_;
    std::optional<u32> switched_;  // the last item that was a VTL entry or return
    sim::DataFlow pending_;        // of the instruction that is executing
    unsigned pending_vp_ = 0;
    std::map<model::ActorId, std::string> names_;
    model::ActorId by_default_ = 0;
    struct Overdue {
        std::size_t turn;
        std::string step;
    };
    std::map<model::ActorId, Overdue> overdue_;
};

void add_head(Recording& out, const Scenario& scenario, const Variant& variant) {
    out.scenario = scenario.name;
    out.variant = variant.label();
    out.why = scenario.why;
    out.source = scenario.source;
}

void add_code(Recording& out, const Scenario& scenario, const model::World& world) {
    for (const auto& [address, name] : scenario.labels) out.labels.emplace(address, name);
    std::vector<SourceLine> lines = scenario.listing;
    for (unsigned vp = 0; vp < world.config().vp_count(); ++vp) {
        const sim::AsmResult& kernel = world.vtl2_kernel(vp);
        append_listing(lines, model::vtl2_kernel_text(world.config().switches), kernel,
                       model::kVtl2);
        for (const sim::AsmSymbol& s : kernel.symbols) {
            if (s.is_label) out.labels.emplace(s.value, s.name);
        }
    }
    add_lines(out, std::move(lines));
}

std::nullopt_t too_long(const Scenario& scenario, Diagnostics& diagnostics) {
    diagnostics.add({scenario.file, 1, 1, "",
                     fmt::format("the run has more than {} events: only --format text can show it",
                                 kMaxItems)});
    return std::nullopt;
}

}  // namespace

Recording recording_of(const Scenario& scenario, const Variant& variant,
                       const model::World& world) {
    Recording out;
    add_head(out, scenario, variant);
    const WorldLayout layout(world.config(), out);
    out.turns.push_back({});
    for (const model::Event& e : world.log().events()) {
        out.items.push_back(item_of(e, world, layout, 0));
    }
    out.result.end = end_reason_name(world.end());
    out.result.steps = world.steps();
    out.result.hash = world.hash();
    add_code(out, scenario, world);
    return out;
}

std::optional<Recording> record(const Scenario& scenario, const Variant& variant,
                                const RecordOptions& options, Diagnostics& diagnostics) {
    Recording out;
    add_head(out, scenario, variant);
    const model::WorldConfig config = options.schedule != nullptr
                                          ? explore::exploration_config(scenario, variant)
                                          : scenario.config(variant);
    model::World world(config);
    {
        Recorder recorder(world, out, options.values);
        if (options.schedule == nullptr) {
            for (auto enabled = world.enabled(); !enabled.empty(); enabled = world.enabled()) {
                recorder.before_turn(enabled, world.default_choice(enabled));
                world.turn();
                recorder.after_turn();
                if (recorder.full()) return too_long(scenario, diagnostics);
            }
            world.turn();  // which concludes
            recorder.finish();
            out.result = result_of(world, config, scenario, variant);
        } else {
            out.schedule = options.schedule_file;
            explore::ScheduledRun run(world, *options.schedule);
            while (run.next()) {
                recorder.before_turn(run.enabled(), run.by_default());
                run.step();
                recorder.after_turn();
                if (recorder.full()) return too_long(scenario, diagnostics);
            }
            auto result = run.finish(scenario, config, variant, options.schedule_file, diagnostics);
            if (!result) return std::nullopt;
            out.result = std::move(*result);
        }
    }
    add_code(out, scenario, world);
    add_failures(out);
    return out;
}

}  // namespace vtlsim::runner::trace
