# vtlsim_embed_asm(TARGET): every *.asm below the current folder becomes a string in TARGET:
#     #include "model/asm_text.hpp"
#     vtlsim::model::asm_text::<file name without .asm>
# The names come from the list of files, so the header is written at configure time (and only when
# they change); the contents at build time, whenever a file changes.
function(vtlsim_embed_asm target)
    set(out_dir "${VTLSIM_GENERATED_DIR}/model")
    file(GLOB_RECURSE asm_files CONFIGURE_DEPENDS "*.asm")
    set(declarations "")
    set(names "")
    foreach(asm_file IN LISTS asm_files)
        cmake_path(GET asm_file STEM LAST_ONLY name)
        if(NOT name MATCHES "^[a-z][a-z0-9_]*$")
            message(FATAL_ERROR "${asm_file}: the name must be a lower-case C++ identifier")
        endif()
        if(name IN_LIST names)
            message(FATAL_ERROR "${asm_file}: another .asm file has the same name")
        endif()
        list(APPEND names ${name})
        string(APPEND declarations "extern const std::string_view ${name};\n")
        set(generated "${out_dir}/${name}.asm.cpp")
        add_custom_command(
            OUTPUT "${generated}"
            COMMAND "${CMAKE_COMMAND}" -D "INPUT=${asm_file}" -D "OUTPUT=${generated}"
                    -D "NAME=${name}" -P "${PROJECT_SOURCE_DIR}/cmake/EmbedAsm.cmake"
            DEPENDS "${asm_file}" "${PROJECT_SOURCE_DIR}/cmake/EmbedAsm.cmake"
            COMMENT "Embedding ${name}.asm"
            VERBATIM)
        target_sources(${target} PRIVATE "${generated}")
    endforeach()
    configure_file("${PROJECT_SOURCE_DIR}/cmake/asm_text.hpp.in" "${out_dir}/asm_text.hpp" @ONLY)
endfunction()
