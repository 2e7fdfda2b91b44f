# The dashboard, embedded in the binary: npm packages are installed in the build folder, esbuild bundles web/src, and
# every file becomes gzip bytes in one generated C file behind "web/assets.h". Nothing is written to the source tree.
find_program(HP_NODE NAMES node nodejs)
find_program(HP_NPM npm)
if(NOT HP_NODE)
  message(FATAL_ERROR "hostpair: node is missing: install the package nodejs (version 18 or newer)")
endif()
if(NOT HP_NPM)
  message(FATAL_ERROR "hostpair: npm is missing: install the package npm")
endif()

set(HP_WEB_SOURCE ${PROJECT_SOURCE_DIR}/web)
set(HP_WEB_BUILD ${PROJECT_BINARY_DIR}/web)
file(MAKE_DIRECTORY ${HP_WEB_BUILD} ${PROJECT_BINARY_DIR}/include/web)
file(CREATE_LINK ${HP_WEB_SOURCE} ${PROJECT_BINARY_DIR}/include/web/web SYMBOLIC)

set(web_package package.json package-lock.json .npmrc)
list(TRANSFORM web_package PREPEND ${HP_WEB_SOURCE}/ OUTPUT_VARIABLE web_package_sources)
add_custom_command(
  OUTPUT ${HP_WEB_BUILD}/packages.stamp
  COMMAND ${CMAKE_COMMAND} -E copy ${web_package_sources} ${HP_WEB_BUILD}
  COMMAND ${HP_NPM} ci --omit=dev --no-audit --no-fund --ignore-scripts --fetch-retries 1 --loglevel error
  COMMAND ${CMAKE_COMMAND} -E touch ${HP_WEB_BUILD}/packages.stamp
  DEPENDS ${web_package_sources}
  WORKING_DIRECTORY ${HP_WEB_BUILD}
  COMMENT "Installing the dashboard's npm packages"
  VERBATIM)

file(GLOB_RECURSE web_sources CONFIGURE_DEPENDS ${HP_WEB_SOURCE}/src/*)
# Made by `npm run types` for the type checker; the bundle has no types in it.
list(REMOVE_ITEM web_sources ${HP_WEB_SOURCE}/src/types.ts)
add_custom_command(
  OUTPUT ${HP_WEB_BUILD}/assets.c
  COMMAND ${CMAKE_COMMAND} -E copy ${HP_WEB_SOURCE}/build.mjs ${HP_WEB_BUILD}
  COMMAND ${HP_NODE} ${HP_WEB_BUILD}/build.mjs --src ${HP_WEB_SOURCE}/src --out ${HP_WEB_BUILD}/dist
          --c ${HP_WEB_BUILD}/assets.c
  DEPENDS ${HP_WEB_BUILD}/packages.stamp ${HP_WEB_SOURCE}/build.mjs ${web_sources}
  COMMENT "Bundling the dashboard"
  VERBATIM)

add_library(hp_web_assets STATIC ${HP_WEB_BUILD}/assets.c)
target_include_directories(hp_web_assets PUBLIC ${PROJECT_BINARY_DIR}/include/web)
target_link_libraries(hp_web_assets PUBLIC hp_flags)
