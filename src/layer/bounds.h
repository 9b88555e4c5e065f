/* Bounds on a layer and what it holds (spec/oci.md appendix A). None can be raised by the input. */
#ifndef WHITTLE_LAYER_BOUNDS_H
#define WHITTLE_LAYER_BOUNDS_H

#include <stdint.h>

#define LAYER_PATH_MAX 4096		  /* bytes of a member name: PATH_MAX of Linux */
#define LAYER_NAME_MAX 255		  /* bytes of one component: NAME_MAX */
#define LAYER_LINK_MAX 4095		  /* bytes of a link target: PATH_MAX without its NUL */
#define LAYER_DEPTH_MAX 256		  /* components of a name */
#define LAYER_PAX_MAX (1u << 20)	  /* bytes of one PAX header: what other readers accept */
#define LAYER_GNU_LONG_MAX (64u << 10)	  /* bytes of one GNU long name */
#define LAYER_SPARSE_MAP_MAX (1u << 20)	  /* bytes of the map of one sparse member: as of a PAX header */
#define LAYER_META_RUN_MAX 16		  /* extension headers in front of one member */
#define LAYER_XATTRS_MAX 256		  /* extended attributes of one member */
#define LAYER_XATTR_NAME_MAX 255	  /* XATTR_NAME_MAX */
#define LAYER_XATTR_VALUE_MAX (64u << 10) /* XATTR_SIZE_MAX */
#define LAYER_ENTRIES_MAX 4000000u	  /* members of one layer */
#define LAYER_META_MAX (512ull << 20)	 /* bytes of all names, links and attributes of one layer */
#define LAYER_SIZE_MAX (64ull << 30)	 /* uncompressed bytes of one layer */
#define LAYER_RATIO_FREE (64ull << 20)	 /* uncompressed bytes before the ratio counts */
#define LAYER_RATIO_GZIP 1040		 /* deflate cannot exceed 1032:1 */
#define LAYER_RATIO_ZSTD 5000		 /* above it, zeros or not, it is refused */
#define LAYER_RATIO_FOREIGN 10000	 /* of archives of users: xz reaches 7000:1 on zeros */
#define LAYER_RATIO_WARN 200		 /* above it a debug line is written */
#define LAYER_GZIP_MEMBERS_MAX 1000000u	 /* members of a gzip stream: bgzip makes many */
#define LAYER_GZIP_EMPTY_MAX 1024u	 /* of which without any content, one after the other */
#define LAYER_GZIP_FIELD_MAX (64u << 10) /* bytes of a name, comment or extra field of gzip */
#define LAYER_ZSTD_WINDOW_LOG_MAX 27	 /* 128 MiB: the library's own default */
#define LAYER_LINKS_MAX 40	  /* symbolic links followed in one resolution, as the kernel */
#define LAYER_OPAQUE_WHITEOUTS 64 /* more whiteouts than that in one directory become opaque */

#endif
