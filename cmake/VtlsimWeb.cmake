# vtlsim_embed_web(TARGET): the sources of the trace viewer (web/) become strings in TARGET, see
# runner/web_text.hpp. The order of the scripts is that of the page.
function(vtlsim_embed_web target)
    set(web_dir "${PROJECT_SOURCE_DIR}/web")
    set(scripts run.js state.js lanes.js panels.js compare.js main.js)
    set(inputs page.html style.css ${scripts})
    list(TRANSFORM inputs PREPEND "${web_dir}/")
    list(JOIN scripts "," names)
    set(generated "${VTLSIM_GENERATED_DIR}/runner/web_text.cpp")
    add_custom_command(
        OUTPUT "${generated}"
        COMMAND "${CMAKE_COMMAND}" -D "DIR=${web_dir}" -D "SCRIPTS=${names}"
                -D "OUTPUT=${generated}" -P "${PROJECT_SOURCE_DIR}/cmake/EmbedWeb.cmake"
        DEPENDS ${inputs} "${PROJECT_SOURCE_DIR}/cmake/EmbedWeb.cmake"
        COMMENT "Embedding the trace viewer"
        VERBATIM)
    target_sources(${target} PRIVATE "${generated}")
endfunction()
