import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The Python server hands out `src/cocket/web/static` at `/`; file names under /assets carry a
// content hash, so they may be cached for ever. The map's worker is renamed to .js because a
// server that does not know .mjs would send it with a type the browser refuses to run.
export default defineConfig({
  plugins: [svelte()],
  base: '/',
  build: {
    outDir: '../src/cocket/web/static',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1600,
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        assetFileNames: (asset) =>
          asset.names.some((name) => name.endsWith('.mjs'))
            ? 'assets/[name]-[hash].js'
            : 'assets/[name]-[hash][extname]',
      },
    },
  },
  server: {
    proxy: { '/api': { target: process.env['COCKET_URL'] ?? 'http://127.0.0.1:8000' } },
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
