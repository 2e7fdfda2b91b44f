# What "cmake --install" puts in place, the target that takes it away again, and the Debian package.
include(GNUInstallDirs)
install(TARGETS hostpair RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${man_page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES docker/hostpair.service docker/hostpair-hub.service DESTINATION lib/systemd/system)
install(FILES docker/hostpair-user.service DESTINATION lib/systemd/user RENAME hostpair.service)
install(FILES docker/hostpair.sysusers DESTINATION lib/sysusers.d RENAME hostpair.conf)
install(FILES docker/hostpair.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME hostpair)
install(FILES docker/hostpair.desktop DESTINATION ${CMAKE_INSTALL_DATADIR}/applications)
install(FILES web/src/icon.svg DESTINATION ${CMAKE_INSTALL_DATADIR}/icons/hicolor/scalable/apps RENAME hostpair.svg)

# cmake --build build --target uninstall: removes the files that the last "cmake --install build" wrote down. Data stays.
add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -P ${PROJECT_SOURCE_DIR}/docker/uninstall.cmake
  WORKING_DIRECTORY ${PROJECT_BINARY_DIR} VERBATIM)

# ---- the Debian package: cmake --build build --target package ----

set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_PACKAGE_CONTACT "the hostpair project <hostpair@localhost>")
set(CPACK_PACKAGE_DESCRIPTION "hostpair lists and downloads the files of the other hosts of a network, from all that have
 them at once, and offers those of a folder; a page shows all of it.")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "xdg-utils, systemd")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/docker/deb/postinst ${PROJECT_SOURCE_DIR}/docker/deb/prerm
  ${PROJECT_SOURCE_DIR}/docker/deb/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/docker/package.cmake)
set(CPACK_HP_SOURCE_DIR ${PROJECT_SOURCE_DIR})
include(CPack)
