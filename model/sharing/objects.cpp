#include "model/sharing/objects.hpp"

#include "model/vtl2/layout.hpp"

namespace vtlsim::model {

std::optional<u32> object_at(u64 address) {
    if (address < layout::kVtl2Base || address >= layout::kVtl2End) return std::nullopt;
    const u64 offset = (address - layout::kVtl2Base) % layout::kVpStride;
    const auto vp = static_cast<unsigned>((address - layout::kVtl2Base) / layout::kVpStride);
    const u64 page = layout::kVtl2Base + (offset & ~u64{0xFFF});
    const u64 in_page = offset & 0xFFF;
    const auto of_array = [&](Object object, u64 first) -> std::optional<u32> {
        if (in_page < first || in_page >= first + layout::kMaxVps) return std::nullopt;
        return object_id(object, static_cast<unsigned>(in_page - first));
    };
    switch (page) {
        case layout::kControlPage:
            if (in_page == offsetof(ControlPage, needs_attention)) {
                return object_id(Object::needs_attention);
            }
            return of_array(Object::cpu_status, offsetof(ControlPage, cpu_status));
        case layout::kDriverPage:
            if (in_page == offsetof(DriverPage, needs_vp_scan)) {
                return object_id(Object::needs_vp_scan);
            }
            return of_array(Object::vp_state, offsetof(DriverPage, vp_state));
        case layout::kCommandPage:
        case layout::kRegisterPage:
        case layout::kAssistPage:
        case layout::kSimpPage:
        case layout::kHclRun:
        case layout::kIoctlPage:
            return object_id(Object::vp_pages, vp);
        default:
            return std::nullopt;
    }
}

}  // namespace vtlsim::model
