#include "model/devices/devices.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/plugins.hpp"

namespace vtlsim::model {

Devices::Devices(Board& board) : board_(board) {
    for (const UartConfig& u : board.config.uarts) {
        state_.uarts.push_back(Uart16550::reset(u.connected));
    }
}

const PortScript* Devices::script(u16 port, u8 size) const {
    for (const PortScript& s : board_.config.ports) {
        if (s.port == port && s.size == size) return &s;
    }
    return nullptr;
}

// Its registers are bytes; wider accesses reach no device, as in OpenVMM.
std::optional<std::size_t> Devices::uart(u16 port, u8 size) const {
    const auto& uarts = board_.config.uarts;
    for (std::size_t i = 0; i < uarts.size(); ++i) {
        if (size == 1 && port >= uarts[i].port && port - uarts[i].port < uart::kPorts) return i;
    }
    return std::nullopt;
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
    const auto u = uart(port, size);
    const std::size_t plugin = plugin_at(port, size);
    u32 value = mask;
    if (plugin != kNoPlugin) {
        const Plugins& plugins = *board_.config.plugins;
        u64& state = board_.plugin_states[plugins.state_of_device(plugin)];
        if (plugins.devices[plugin].read) value = plugins.devices[plugin].read(state) & mask;
    } else if (s != nullptr && s->step) {
        const u64 given = state_.served[{port, size}]++;
        value = static_cast<u32>(s->reads.front() + given * *s->step) & mask;
    } else if (s != nullptr && !s->reads.empty()) {
        value = s->reads[position(*s)] & mask;
        ++state_.served[{port, size}];
    } else if (u) {
        const u8 offset = static_cast<u8>(port - board_.config.uarts[*u].port);
        value = Uart16550::read(state_.uarts[*u], offset).value_or(0xFF);
    }
    ++state_.counts[port].reads;
    const bool claimed = s != nullptr || u || plugin != kNoPlugin;
    board_.emit(EventKind::device_read, Lane::device, {port, size, value, claimed ? 1u : 0u});
    return value;
}

u64 Devices::position(const PortScript& script) const {
    const auto served = state_.served.find({script.port, script.size});
    if (served == state_.served.end()) return 0;
    if (script.step) return served->second;
    return std::min<u64>(served->second, script.reads.size() - 1);
}

void Devices::write(u16 port, u8 size, u32 value) {
    Counts& counts = state_.counts[port];
    ++counts.writes;
    counts.last_written = value;
    const auto u = uart(port, size);
    const std::size_t plugin = plugin_at(port, size);
    const bool claimed = script(port, size) != nullptr || u || plugin != kNoPlugin;
    if (plugin != kNoPlugin) {
        const Plugins& plugins = *board_.config.plugins;
        u64& state = board_.plugin_states[plugins.state_of_device(plugin)];
        if (plugins.devices[plugin].write) plugins.devices[plugin].write(value, state);
    }
    board_.emit(EventKind::device_write, Lane::device, {port, size, value, claimed ? 1u : 0u});
    if (!u || plugin != kNoPlugin) return;
    const u8 offset = static_cast<u8>(port - board_.config.uarts[*u].port);
    if (Uart16550::write(state_.uarts[*u], offset, static_cast<u8>(value))) return;
    board_.not_modelled(fmt::format("a write of {:#x} to register {} of a 16550", value, offset));
}

Devices::Counts Devices::counts(u16 port) const {
    const auto it = state_.counts.find(port);
    return it == state_.counts.end() ? Counts{} : it->second;
}

}  // namespace vtlsim::model
