#include "model/vmm/devices.hpp"

#include <algorithm>

#include "model/plugins.hpp"

namespace vtlsim::model {

const PortScript* Devices::script(u16 port, u8 size) const {
    for (const PortScript& s : board_.config.ports) {
        if (s.port == port && s.size == size) return &s;
    }
    return nullptr;
}

std::size_t Devices::plugin_at(u16 port, u8 size) const {
    if (!board_.config.plugins) return kNoPlugin;
    const auto& devices = board_.config.plugins->devices;
    for (std::size_t i = 0; i < devices.size(); ++i) {
        if (devices[i].port == port && devices[i].size == size) return i;
    }
    return kNoPlugin;
}

u32 Devices::read(u16 port, u8 size) {
    const u32 mask = size >= 4 ? 0xFFFFFFFF : (u32{1} << size * 8) - 1;
    const PortScript* s = script(port, size);
    u32 value = mask;
    const std::size_t plugin = plugin_at(port, size);
    const bool claimed = s != nullptr || plugin != kNoPlugin;
    if (plugin != kNoPlugin) {
        const Plugins& plugins = *board_.config.plugins;
        u64& state = board_.plugin_states[plugins.state_of_device(plugin)];
        if (plugins.devices[plugin].read) value = plugins.devices[plugin].read(state) & mask;
    } else if (s != nullptr && !s->reads.empty()) {
        value = s->reads[position(*s)] & mask;
        ++state_.served[{port, size}];
    }
    ++state_.counts[port].reads;
    board_.emit(EventKind::device_read, Lane::device, {port, size, value, claimed ? 1u : 0u});
    return value;
}

std::size_t Devices::position(const PortScript& script) const {
    const auto served = state_.served.find({script.port, script.size});
    if (served == state_.served.end()) return 0;
    return std::min<std::size_t>(served->second, script.reads.size() - 1);
}

void Devices::write(u16 port, u8 size, u32 value) {
    Counts& counts = state_.counts[port];
    ++counts.writes;
    counts.last_written = value;
    const std::size_t plugin = plugin_at(port, size);
    const bool claimed = script(port, size) != nullptr || plugin != kNoPlugin;
    if (plugin != kNoPlugin) {
        const Plugins& plugins = *board_.config.plugins;
        u64& state = board_.plugin_states[plugins.state_of_device(plugin)];
        if (plugins.devices[plugin].write) plugins.devices[plugin].write(value, state);
    }
    board_.emit(EventKind::device_write, Lane::device, {port, size, value, claimed ? 1u : 0u});
}

Devices::Counts Devices::counts(u16 port) const {
    const auto it = state_.counts.find(port);
    return it == state_.counts.end() ? Counts{} : it->second;
}

}  // namespace vtlsim::model
