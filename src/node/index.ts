export * from './facts';
export * from './session';
export * from './wire';
