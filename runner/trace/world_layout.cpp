#include "runner/trace/world_layout.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/vtl2/layout.hpp"
#include "model/wire/pages.hpp"

namespace vtlsim::runner::trace {

using model::Lane;
using sim::Reg;

namespace {

namespace layout = model::layout;

struct LaneRow {
    Lane lane;
    std::string_view title;
    bool per_vp;
};
// From left to right.
constexpr LaneRow kLanes[] = {
    {Lane::guest, "Guest (VTL0)", true},
    {Lane::hypervisor, "Hypervisor", true},
    {Lane::vtl2, "VTL2 kernel", true},
    {Lane::driver, "Driver", false},
    {Lane::vmm, "VMM", true},
    {Lane::device, "Devices", false},
};

struct Arrow {
    model::EventKind kind;
    Lane to;
};
constexpr Arrow kArrows[] = {
    {model::EventKind::exit_io, Lane::hypervisor},
    {model::EventKind::exit_cpuid, Lane::hypervisor},
    {model::EventKind::exit_msr, Lane::hypervisor},
    {model::EventKind::exit_hypercall, Lane::hypervisor},
    {model::EventKind::exit_memory, Lane::hypervisor},
    {model::EventKind::vtl_enter, Lane::vtl2},
    {model::EventKind::vtl_return, Lane::guest},
    {model::EventKind::bounce, Lane::vtl2},
    {model::EventKind::vmm_run, Lane::driver},
    {model::EventKind::poll_finished, Lane::vmm},
    {model::EventKind::device_read, Lane::vmm},
    {model::EventKind::device_write, Lane::device},
};
constexpr model::EventKind kAlarms[] = {
    model::EventKind::vmm_assert, model::EventKind::vmm_error, model::EventKind::driver_warning,
    model::EventKind::driver_busy, model::EventKind::not_modelled};

struct RegionRow {
    std::string_view name, title;
    std::span<const model::WireField> fields;
    u64 address;
    u32 size;
    bool per_vp;
    std::vector<u32> messages;
};
const std::vector<RegionRow>& region_rows() {
    using namespace model;
    static const std::vector<RegionRow> rows = {
        {"assist",
         "VP assist page",
         WireTraits<HvVpAssistPage>::fields(),
         layout::kAssistPage,
         kWirePageSize,
         true,
         {offsetof(HvVpAssistPage, message)}},
        {"simp",
         "SINT0's slot in the SIMP page",
         WireTraits<HvMessage>::fields(),
         layout::kSimpPage,
         sizeof(HvMessage),
         true,
         {0}},
        {"command",
         "Command page: CPU context and message",
         WireTraits<CommandPage>::fields(),
         layout::kCommandPage,
         kWirePageSize,
         true,
         {offsetof(CommandPage, intercept_message)}},
        {"regpage",
         "Register page",
         WireTraits<HvRegisterPage>::fields(),
         layout::kRegisterPage,
         kWirePageSize,
         true,
         {}},
        {"hcl_run",
         "Kernel driver's run page",
         WireTraits<HclRun>::fields(),
         layout::kHclRun,
         sizeof(HclRun),
         true,
         {offsetof(HclRun, exit_message)}},
        {"control",
         "Control page",
         WireTraits<ControlPage>::fields(),
         layout::kControlPage,
         kWirePageSize,
         false,
         {}},
        {"driver",
         "Driver's memory",
         WireTraits<DriverPage>::fields(),
         layout::kDriverPage,
         kWirePageSize,
         false,
         {}},
    };
    return rows;
}

void add_fields(std::vector<Field>& out, const std::string& prefix,
                std::span<const model::WireField> fields, u32 base) {
    for (const model::WireField& f : fields) {
        if (f.name.starts_with("reserved")) continue;
        const bool transparent = f.name == "fx" || f.name == "header";
        const std::string name =
            transparent ? prefix : fmt::format("{}{}{}", prefix, prefix.empty() ? "" : ".", f.name);
        if (f.nested.empty()) {
            out.push_back({name, base + f.offset, f.size});
        } else {
            add_fields(out, name, f.nested, base + f.offset);
        }
    }
}
void add_fields_at_top(std::vector<Field>& out, std::span<const model::WireField> fields) {
    for (const model::WireField& f : fields) {
        if (f.name.starts_with("reserved")) continue;
        const bool transparent = f.name == "fx" || f.name == "header";
        if (f.nested.empty()) {
            out.push_back({std::string(f.name), f.offset, f.size});
        } else if (transparent) {
            add_fields_at_top(out, f.nested);
        } else {
            add_fields(out, std::string(f.name), f.nested, f.offset);
        }
    }
}

}  // namespace

WorldLayout::WorldLayout(const model::WorldConfig& config, Recording& out) : out_(out) {
    for (const model::EventRow& row : model::event_rows()) {
        const auto* arrow = std::find_if(std::begin(kArrows), std::end(kArrows),
                                         [&](const auto& a) { return a.kind == row.kind; });
        out_.kinds.push_back(
            {row.name, row.meaning, arrow == std::end(kArrows) ? "" : model::lane_name(arrow->to),
             std::find(std::begin(kAlarms), std::end(kAlarms), row.kind) != std::end(kAlarms)});
    }
    turn_kind_ = static_cast<u16>(out_.kinds.size());
    out_.kinds.push_back({"turn", "an actor's step that leaves no event", "", false});
    add_lanes(config.vp_count());
    add_banks(config);
    add_regions(config);
    add_payloads();
}

void WorldLayout::add_lanes(unsigned vps) {
    const auto add = [&](const LaneRow& row, int vp) {
        lanes_[{row.lane, vp}] = static_cast<u16>(out_.lanes.size());
        out_.lanes.push_back(
            {std::string(model::lane_name(row.lane)),
             vps > 1 && vp >= 0 ? fmt::format("{} {}", row.title, vp) : std::string(row.title),
             vp});
    };
    for (unsigned vp = 0; vp < vps; ++vp) {
        for (const LaneRow& row : kLanes) {
            if (row.per_vp) {
                add(row, static_cast<int>(vp));
            } else if (vp == 0 && vps == 1) {
                add(row, -1);
            }
        }
    }
    for (const LaneRow& row : kLanes) {
        if (!row.per_vp && vps > 1) add(row, -1);
    }
}

u16 WorldLayout::lane(Lane lane, u8 vp) const {
    const auto own = lanes_.find({lane, vp});
    return own != lanes_.end() ? own->second : lanes_.at({lane, -1});
}

void WorldLayout::add_banks(const model::WorldConfig& config) {
    const model::Switches& switches = config.switches;
    const bool second_rule = switches.gpr_model == model::GprModel::shadow_on_second_reentry;
    const bool shadows = switches.gpr_model == model::GprModel::shadow;
    const std::string kept = shadows ? "private registers and shadows" : "private registers";
    cells_of_.resize(config.vp_count() * kCopies);
    for (unsigned vp = 0; vp < config.vp_count(); ++vp) {
        const int number = static_cast<int>(vp);
        out_.banks.push_back({"cpu", "live CPU", "what instructions read and write now", number});
        out_.banks.push_back(
            {"vtl0", shadows ? "VTL0's copy (private, shadow)" : "VTL0 private",
             fmt::format("VTL0's {}, kept by the hypervisor while VTL2 runs", kept), number});
        out_.banks.push_back(
            {"vtl2", shadows ? "VTL2's copy (private, shadow)" : "VTL2 private",
             fmt::format("VTL2's {}, kept by the hypervisor while VTL0 runs", kept), number});
        out_.banks.push_back({"captured", "VTL2's captured registers",
                              "what the switch shadow_on_second_reentry gives back", number});
        for (std::size_t copy = 0; copy < kCopies; ++copy) {
            for (const sim::RegInfo& row : sim::registers()) {
                if (row.reg == Reg::tsc || row.group == sim::RegGroup::simulator) continue;
                const bool moves = model::bank_of(row.reg, switches) != model::Bank::shared;
                const bool disputed = model::bank_class(row.reg) == model::BankClass::shared_gpr ||
                                      model::bank_class(row.reg) == model::BankClass::shared_fx ||
                                      model::bank_class(row.reg) == model::BankClass::shared_cr2;
                const bool there = copy == kCpu || (copy != kCaptured && moves) ||
                                   (second_rule && disputed && copy != kVtl2);
                if (!there) continue;
                const auto cell = static_cast<u32>(out_.cells.size());
                cells_of_[bank(vp, copy)].push_back(cell);
                cell_of_[{bank(vp, copy), row.reg}] = cell;
                out_.cells.push_back(
                    {static_cast<u16>(bank(vp, copy)), row.name, row.bits, Vec128{}});
            }
        }
    }
}

void WorldLayout::add_regions(const model::WorldConfig& config) {
    const bool sidecar = config.switches.vp_runner == model::VpRunner::sidecar;
    const bool synic =
        config.switches.intercept_delivery == model::InterceptDelivery::synic_message;
    for (unsigned vp = 0; vp < config.vp_count(); ++vp) {
        for (const RegionRow& row : region_rows()) {
            if (!row.per_vp && vp != 0) continue;
            // The kernel driver has the run page where the sidecar has the command page.
            if ((row.name == "hcl_run" && sidecar) || (row.name == "command" && !sidecar)) continue;
            if (row.name == "simp" && !synic) continue;
            Region region{.name = std::string(row.name),
                          .title = std::string(row.title),
                          .vp = row.per_vp ? static_cast<int>(vp) : -1,
                          .address = row.address + (row.per_vp ? vp * layout::kVpStride : 0),
                          .size = row.size,
                          .fields = {},
                          .messages = row.messages};
            add_fields_at_top(region.fields, row.fields);
            out_.regions.push_back(std::move(region));
        }
    }
}

void WorldLayout::add_payloads() {
    for (u32 base : {0x80000000u, 0x80010000u}) {
        for (u32 i = 0; i < 0x100; ++i) {
            const std::string_view name = model::message_type_name(base + i);
            if (name == "unknown") continue;
            Payload payload{base + i, std::string(name), {}};
            add_fields_at_top(payload.fields, model::payload_fields(base + i));
            out_.payloads.push_back(std::move(payload));
        }
    }
}

std::vector<WorldLayout::Leaf> WorldLayout::leaves(u64 address, u64 size,
                                                   const model::World& world) const {
    std::vector<Leaf> out;
    const auto add = [&](const std::string& name, u64 at, u64 bytes) {
        if (at >= address && at + bytes <= address + size) out.push_back({name, at, bytes});
    };
    for (const Region& region : out_.regions) {
        if (region.address + region.size <= address || region.address >= address + size) continue;
        for (const Field& f : region.fields) {
            const bool payload = std::any_of(
                region.messages.begin(), region.messages.end(),
                [&](u32 offset) { return f.offset == offset + model::kMessagePayload; });
            if (!payload) {
                add(f.name, region.address + f.offset, f.size);
                continue;
            }
            u32 type = 0;
            world.read_memory(region.address + f.offset - model::kMessagePayload,
                              {reinterpret_cast<u8*>(&type), sizeof(type)});
            for (const Payload& p : out_.payloads) {
                if (p.type != type) continue;
                for (const Field& inner : p.fields) {
                    add(inner.name, region.address + f.offset + inner.offset, inner.size);
                }
            }
        }
    }
    return out;
}

}  // namespace vtlsim::runner::trace
