// What a world consists of, for its recording: lanes, banks with their registers, pages.
#pragma once

#include <map>

#include "model/world.hpp"
#include "runner/trace/recording.hpp"

namespace vtlsim::runner::trace {

class WorldLayout {
  public:
    // The copies of a VP's registers; bank number = VP * kCopies + copy.
    enum Copy : std::size_t { kCpu, kVtl0, kVtl2, kCaptured, kCopies };
    // Their places in VtlBanks::states().
    static constexpr std::array<std::size_t, kCopies> kStateOf = {0, 0, 2, 3};

    // Fills in kinds, lanes, banks, cells, regions and payloads.
    WorldLayout(const model::WorldConfig& config, Recording& out);

    u16 lane(model::Lane lane, u8 vp) const;
    u16 turn_kind() const { return turn_kind_; }
    std::size_t bank(unsigned vp, std::size_t copy) const { return vp * kCopies + copy; }
    const std::vector<u32>& cells_of(std::size_t bank) const { return cells_of_[bank]; }
    bool has(unsigned vp, std::size_t copy, sim::Reg reg) const {
        return cell_of_.count({bank(vp, copy), reg}) != 0;
    }
    u32 cell(unsigned vp, std::size_t copy, sim::Reg reg) const {
        return cell_of_.at({bank(vp, copy), reg});
    }

    // The fields in a range of memory, by address; a message's as its type is now.
    struct Leaf {
        std::string name;
        u64 address;
        u64 size;
    };
    std::vector<Leaf> leaves(u64 address, u64 size, const model::World& world) const;

  private:
    void add_lanes(unsigned vps);
    void add_banks(const model::WorldConfig& config);
    void add_regions(const model::WorldConfig& config);
    void add_payloads();

    Recording& out_;
    u16 turn_kind_ = 0;
    std::map<std::pair<model::Lane, int>, u16> lanes_;
    std::vector<std::vector<u32>> cells_of_;
    std::map<std::pair<std::size_t, sim::Reg>, u32> cell_of_;
};

}  // namespace vtlsim::runner::trace
